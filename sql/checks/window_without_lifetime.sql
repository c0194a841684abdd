-- Consumption belongs to something that was there.
-- A row means: an account is charged for the consumption of a VM that was not its own then.
-- To do: see whose the VM was (table lifetime); if it was given away at that time, report this as a defect.
select w.account_id, w.resource_id, w.resource_kind, w.vm_id, w.window_from, w.through
from usage_window w
where not exists (select from lifetime l where l.account_id = w.account_id and l.resource_id = w.vm_id
    and l.kind = 'allocated' and l.valid_from < w.window_to + interval '2 minutes'
    and coalesce(l.valid_to, 'infinity') > w.window_from - interval '2 minutes')
