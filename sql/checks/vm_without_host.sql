-- What lives is on a host that is there: a host is taken out only when nothing of ours is on it.
-- A row means: a machine cannot be started, stopped or destroyed any more.
-- To do: add the host again by the same URI, destroy the machine, remove the host; report this as a defect.
select v.account_id, v.uuid, v.name, v.state, v.adopted, v.host_id, h.name as host, h.removed as host_removed
from vm v join host h on h.id = v.host_id
where v.removed is null and h.removed is not null
