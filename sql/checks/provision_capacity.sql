-- What is promised on a host is what its VMs hold there, and those on their way to it.
-- A row means: a host is promised twice over, or room that nobody holds is withheld.
-- To do: note the row, then as database owner: update host h set vcpus_used = .., memory_used = .. to
--   the sums in the row; report this as a defect.
select h.id, h.name, h.vcpus_used, coalesce(v.vcpus, 0) as vcpus_held, h.memory_used, coalesce(v.memory, 0) as memory_held
from host h left join (select held_host_id, sum(held_vcpus) as vcpus, sum(held_memory) as memory
    from (select held_host_id, held_vcpus, held_memory from vm where held_host_id is not null
        union all select move_host_id, move_vcpus, move_memory from vm where move_host_id is not null) x group by 1) v on v.held_host_id = h.id
where (h.vcpus_used, h.memory_used) <> (coalesce(v.vcpus, 0), coalesce(v.memory, 0))
