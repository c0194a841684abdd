-- An interval says how large the thing was.
-- A row means: the quantity of this time is not known, and what a price counts (vCPUs, memory,
--   bytes, sockets) is not charged.
-- To do: find the size (the VM's offering, the host's capabilities), write it as database owner.
select account_id, resource_uuid, resource_name, kind, valid_from, vcpus, memory_bytes, size_bytes, sockets, cores
from lifetime
where not case when kind in ('allocated', 'running') then vcpus > 0 and memory_bytes > 0
    when kind = 'host' then sockets > 0 and cores > 0
    when kind in ('volume', 'snapshot', 'vm_snapshot', 'template', 'iso') then size_bytes >= 0
    else true end is true
