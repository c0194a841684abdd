-- A VM that runs holds room for its size on its host; one that is stopped holds none; on
-- a second host only while it moves there.
-- A row means: a host may be promised more than it has, or less.
-- To do: stop and start the VM; if the row stays, report this as a defect.
select v.account_id, v.uuid, v.name, v.state, v.host_id, v.held_host_id, v.vcpus, v.held_vcpus, v.memory_bytes, v.held_memory
from vm v
where not exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running'))
    and v.state_at < now() - interval '30 seconds'
    and (v.removed is null and v.state = 'Running'
        and (v.held_host_id is distinct from v.host_id or v.held_vcpus <> v.vcpus or v.held_memory <> v.memory_bytes)
    or (v.removed is not null or v.state in ('Stopped', 'Error')) and v.held_host_id is not null
    or v.move_host_id is not null)
