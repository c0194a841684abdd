-- The open row of a host's history is what the host is said to be, and its rows follow one another.
-- A row means: a licence may be counted for other sockets than the host had.
-- To do: see what libvirt says (virsh capabilities); report this as a defect with the row.
select h.id, h.name, h.sockets, y.sockets as history_sockets, h.cores, y.cores as history_cores, y.valid_from
from host h left join host_history y on y.host_id = h.id and y.valid_to is null
where h.removed is null and h.sockets is not null and (h.sockets, h.cores) is distinct from (y.sockets, y.cores)
union all
select y.host_id, 'overlap', y.sockets, n.sockets, y.cores, n.cores, y.valid_from
from host_history y join host_history n on n.host_id = y.host_id and n.valid_from > y.valid_from
where n.valid_from < coalesce(y.valid_to, 'infinity')
