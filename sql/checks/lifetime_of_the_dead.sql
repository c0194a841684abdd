-- Only what lives has an open interval.
-- A row means: somebody is charged for something that is gone, from its end until now.
-- To do: see when it ended (its row says removed, table event says why), then end the interval
--   there as database owner: update lifetime set valid_to = ..., close_reason = 'mended' ...
select l.account_id, l.resource_uuid, l.resource_name, l.kind, l.valid_from,
    coalesce(v.removed, d.removed, h.removed, s.removed, w.removed, t.removed) as removed
from lifetime l
left join vm v on v.account_id = l.account_id and v.id = l.resource_id
left join volume d on d.account_id = l.account_id and d.id = l.resource_id
left join host h on h.id = l.resource_id
left join snapshot s on s.account_id = l.account_id and s.id = l.resource_id
left join vm_snapshot w on w.account_id = l.account_id and w.id = l.resource_id
left join template t on t.account_id = l.account_id and t.resource_id = l.resource_id
where l.valid_to is null and not case l.kind
    when 'allocated' then v.id is not null and v.removed is null
    when 'running' then v.id is not null and v.removed is null and v.state not in ('Stopped', 'Error', 'Destroyed')
    when 'volume' then d.id is not null and d.removed is null
    when 'snapshot' then s.id is not null and s.removed is null and s.state = 'BackedUp'
    when 'vm_snapshot' then w.id is not null and w.removed is null
    when 'template' then t.id is not null and t.removed is null
    when 'iso' then t.id is not null and t.removed is null
    else h.id is not null and h.removed is null end
