-- A running charge stands on usage: its resource was there in that period.
-- A row means: an account is charged for something that it did not have.
-- To do: see its events; if nobody wrote to the database by hand, report this as a defect with the row.
select a.account_id, a.period_from, a.line_key, a.sku, a.resource_uuid, a.resource_name, a.quantity, a.amount
from accrual a
join accrual_run r on r.account_id = a.account_id and r.period_from = a.period_from and r.generation = a.generation
where a.resource_uuid is not null and not exists (select from lifetime l
    where l.account_id = a.account_id and l.resource_uuid = a.resource_uuid
        and l.valid_from < a.period_to and coalesce(l.valid_to, 'infinity') >= a.period_from - interval '1 day')
    and not exists (select from usage_import_state i
    where i.account_id = a.account_id and i.resource_uuid = a.resource_uuid and i.sku = a.sku and i.state = 'current'
        and i.used_from < a.period_to
        and (i.kind = 'amount' and i.used_from >= a.period_from
            or i.kind = 'level' and coalesce(i.used_to, 'infinity') >= a.period_from - interval '1 day'))
