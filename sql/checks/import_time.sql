-- Imported usage lies where a bill can hold it: not in the future when it came, nor before the account's first period.
-- A row means: a record is charged too early, or on no bill at all.
-- To do: set the clock right (chronyc tracking); else report this as a defect with the row.
select 'in the future' as what, i.account_id, i.source, i.record, i.used_from, i.received_at
from usage_import i
where i.used_from > i.received_at + interval '10 minutes'
union all
select 'before the first period', i.account_id, i.source, i.record, i.used_from, p.begins
from usage_import i
join (select account_id, min(starts) as begins from billing_period group by 1) p on p.account_id = i.account_id
where i.used_from < p.begins
