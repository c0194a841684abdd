-- An issued invoice stands in the ledger as what is due, once; a showback stands there not at all.
-- A row means: what a customer owes by the ledger is not what was invoiced.
-- To do: jeoul-audit says what was changed; what is wrong is put right by a reversing entry, never by a change.
select s.account_id, s.name, s.kind, s.currency, s.due, l.owed
from statement s
cross join lateral (
    select coalesce(sum(case when debit = 'receivable' then amount when credit = 'receivable' then -amount else 0 end), 0) as owed
    from ledger_entry e where e.account_id = s.account_id and e.statement = s.uuid and e.corrects is null
        and e.currency = s.currency
) l
where l.owed <> case when s.kind = 'showback' or s.series = 'showback' then 0 else s.due end
