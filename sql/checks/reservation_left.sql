-- What a volume or a machine will be is counted against limits only while somebody makes it so.
-- A row means: an account is refused what it may have.
-- To do: resize the volume or the machine again, or delete what is still being made; report this as a defect.
select 'volume' as kind, v.account_id, v.uuid, v.name, v.state, v.size_bytes, v.wanted_bytes
from volume v
where v.removed is null and (v.wanted_bytes is not null or v.state = 'Creating')
    and not exists (select from job j where j.state in ('pending', 'running') and j.account_id = v.account_id
        and (j.object_uuid = v.uuid or j.object_uuid in (select m.uuid from vm m where m.account_id = v.account_id and m.id = v.vm_id)))
