-- What is simulated says so: in its intervals and in its consumption.
-- A row means: something simulated looks real on a bill, or the other way round.
-- To do: report this as a defect with the row; the host's row says what is true.
select 'lifetime' as what, l.account_id, l.resource_uuid::text as resource, l.valid_from as since, l.simulated, h.simulated as host_simulated
from lifetime l join host h on h.id = l.host_id where l.simulated <> h.simulated
union all
select 'window', w.account_id, v.uuid::text, w.window_from, w.simulated, h.simulated
from usage_window w join vm v on v.account_id = w.account_id and v.id = w.vm_id join host h on h.id = v.host_id
where w.simulated <> h.simulated and v.removed is null
