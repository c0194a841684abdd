-- Each host is asked by a collector that lives; that it is one only, keys see to (host_lease, collector.turn).
-- A row means: for more than a minute nobody has measured the guests of this host, although collectors are at work.
-- To do: see jeoul collector list and the log of jeoul-meter for why nobody takes the host; what its guests use meanwhile
--   is counted when somebody does, as long as they run.
select h.id as host_id, h.name, c.name as collector, c.seen
from host h left join host_lease l on l.host_id = h.id left join collector c on c.turn = l.turn and not c.lost
where h.removed is null and h.state <> 'Removed' and h.created < now() - interval '1 minute'
    and coalesce(c.expires, greatest(l.since, h.created)) < now() - interval '1 minute'
    and exists (select from collector o where not o.lost and o.expires > now() and o.started < now() - interval '1 minute')
