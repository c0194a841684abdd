-- Statements of jeoul-meter.

-- Leases: one sign of life for all hosts of a collector, and its share of them (docs/decisions/044).

-- name: meter_beat
select turn, known, alive, rank, hosts, held from collector_beat($1, $2, $3::boolean, $4::integer, $5, $6::integer,
    $7::bigint)
-- name: meter_take
select collector_take($1::bigint, $2, $3::integer, $4::boolean)
-- name: meter_give
-- Hosts that others are to have: all rows of them are written.
delete from host_lease where turn = $1::bigint and host_id = any (string_to_array($2, ',')::bigint[])
-- name: meter_fence
select collector_fence($1::bigint, $2)

-- What is to be sampled, as one snapshot: the lines of meter/inventory.c, letter first.

-- name: meter_hosts
select 'h', h.id, h.uuid, h.name, h.uri, h.simulated, c.cpu_total_ns,
    (select e.sockets from host_evidence e where e.host_id = h.id order by e.seen desc limit 1)
from host_lease l join host h on h.id = l.host_id left join host_contact c on c.host_id = h.id
where l.turn = $1::bigint and h.removed is null and h.state <> 'Removed' order by h.id
-- name: meter_zones
-- Zones whose hours begin inside a UTC hour, for 40 days: since when, how many seconds after it.  A
-- collector whose clock is a little behind still needs those of before a change.
with zones as (
    select distinct a.timezone as zone from account a
    where a.removed is null and exists (
        select from (values (now() - interval '3 hours'), (now()), (now() + interval '40 days')) x (t)
        where extract(minute from date_trunc('hour', t) at time zone a.timezone) <> 0)
), marks as (
    select zone, t, (3600 - extract(minute from t at time zone zone)::integer * 60) % 3600 as shift
    from zones, generate_series(date_trunc('hour', now()) - interval '3 hours', now() + interval '40 days',
        interval '1 hour') t
), changes as (
    select zone, t, shift, lag(shift) over (partition by zone order by t) as before from marks
)
select 'z', zone, (extract(epoch from t) * 1000000)::bigint, shift from changes
where before is distinct from shift order by zone, t
-- name: meter_accounts
select 'a', a.id, a.timezone, coalesce(g.seconds, 0) from account a left join meter_grain g on g.account_id = a.id
where a.removed is null and (g.seconds is not null or exists (
    select from (values (now() - interval '3 hours'), (now()), (now() + interval '40 days')) x (t)
    where extract(minute from date_trunc('hour', t) at time zone a.timezone) <> 0))
order by a.id
-- name: meter_cuts
-- A change of the tariff inside an hour.
select 'c', account_id, (extract(epoch from valid_from) * 1000000)::bigint from account_tariff
where valid_from > now() - interval '3 hours' and valid_from < now() + interval '40 days'
    and valid_from <> date_trunc('hour', valid_from)
order by account_id, valid_from
-- name: meter_inventory
-- VM by VM with its cards and disks: whose, where, the run of its process (what provision saw
-- of it, and from when to when), and whether its counters began under our eyes.  A run goes on
-- through what only splits its lifetime: a resize, another owner, a pause after a fault.
with vms as (
    select v.*, b.valid_from as begun, l.valid_to as ended, b.open_reason is distinct from 'adopted' as fresh
    from vm v
    left join lateral (
        select r.valid_from, r.open_reason from lifetime r
        where r.resource_id = v.id and r.kind = 'running' and r.open_reason in ('created', 'started', 'adopted', 'reverted')
            and not coalesce((select p.close_reason like 'paused%' from lifetime p
                where p.resource_id = r.resource_id and p.kind = 'running' and p.valid_from < r.valid_from
                order by p.valid_from desc limit 1), false)
        order by r.valid_from desc limit 1) b on true
    left join lateral (
        select r.valid_to from lifetime r where r.resource_id = v.id and r.kind = 'running'
        order by r.valid_from desc limit 1) l on true
    where v.removed is null and v.host_id in (select host_id from host_lease where turn = $1::bigint))
select 'v', v.account_id, v.id, v.uuid::text, v.host_id::text, v.epoch,
    (extract(epoch from v.begun) * 1000000)::bigint::text, (extract(epoch from v.ended) * 1000000)::bigint::text,
    v.fresh, v.id as vm_id, 0 as place
from vms v
union all
select 'n', n.account_id, n.id, n.vm_id::text, n.mac, (v.fresh or n.created > v.begun)::text, null, null, null, v.id, 1
from nic n join vms v on v.account_id = n.account_id and v.id = n.vm_id where n.removed is null
union all
select 'd', d.account_id, d.id, d.vm_id::text, coalesce(d.target, ''), (v.fresh or d.created > v.begun)::text,
    null, null, null, v.id, 2
from volume d join vms v on v.account_id = d.account_id and v.id = d.vm_id where d.removed is null
order by vm_id, place, 3

-- name: meter_last_rows
-- Where the collector left off: the newest row of each resource, whoever owned it then, as
-- meter_window_put takes it.
select r.account_id, r.resource_id, r.window_from, r.window_to, r.resource_kind, r.vm_id, r.through, r.epoch,
    r.cpu_ns, r.vcpu_ns, r.net_rx_bytes, r.net_tx_bytes, r.disk_read_bytes, r.disk_write_bytes,
    r.disk_read_requests, r.disk_write_requests, r.raw_cpu_ns, array_to_string(r.raw_vcpu_ns, ','), r.raw_net_rx,
    r.raw_net_tx, r.raw_disk_read, r.raw_disk_write, r.raw_disk_read_req, r.raw_disk_write_req, r.samples,
    r.resets, r.simulated, r.memory_bytes, r.memory_rss_bytes, r.memory_unused_bytes, r.capacity_bytes,
    r.allocation_bytes, r.physical_bytes, r.turn
from unnest(string_to_array($1, ',')::bigint[]) as wanted (id)
cross join lateral (
    select * from usage_window w where w.resource_id = wanted.id and w.window_from > now() - interval '62 days'
    order by w.window_from desc, w.through desc limit 1) r

-- name: meter_window_put
-- An absolute state: written twice, late or again after a crash it changes nothing.  What was
-- made up once stays marked.  What comes late is told to the rater, which may have added it up.
with put as (
insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
    cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes, disk_read_requests,
    disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx, raw_disk_read, raw_disk_write,
    raw_disk_read_req, raw_disk_write_req, samples, resets, simulated, memory_bytes, memory_rss_bytes,
    memory_unused_bytes, capacity_bytes, allocation_bytes, physical_bytes, turn)
values ($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, $5, $6::bigint, $7::timestamptz, $8,
    $9::bigint, $10::bigint, $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint,
    $16::bigint, $17::bigint, string_to_array($18, ',')::bigint[], $19::bigint, $20::bigint, $21::bigint, $22::bigint,
    $23::bigint, $24::bigint, $25::integer, $26::integer, $27::boolean, $28::bigint, $29::bigint, $30::bigint,
    $31::bigint, $32::bigint, $33::bigint, $34::bigint)
on conflict (account_id, resource_id, window_from) do update set
    window_to = excluded.window_to, through = excluded.through, epoch = excluded.epoch,
    cpu_ns = excluded.cpu_ns, vcpu_ns = excluded.vcpu_ns, net_rx_bytes = excluded.net_rx_bytes,
    net_tx_bytes = excluded.net_tx_bytes, disk_read_bytes = excluded.disk_read_bytes,
    disk_write_bytes = excluded.disk_write_bytes, disk_read_requests = excluded.disk_read_requests,
    disk_write_requests = excluded.disk_write_requests, raw_cpu_ns = excluded.raw_cpu_ns,
    raw_vcpu_ns = excluded.raw_vcpu_ns, raw_net_rx = excluded.raw_net_rx, raw_net_tx = excluded.raw_net_tx,
    raw_disk_read = excluded.raw_disk_read, raw_disk_write = excluded.raw_disk_write,
    raw_disk_read_req = excluded.raw_disk_read_req, raw_disk_write_req = excluded.raw_disk_write_req,
    samples = excluded.samples, resets = excluded.resets, simulated = usage_window.simulated or excluded.simulated,
    memory_bytes = excluded.memory_bytes, memory_rss_bytes = excluded.memory_rss_bytes,
    memory_unused_bytes = excluded.memory_unused_bytes, capacity_bytes = excluded.capacity_bytes,
    allocation_bytes = excluded.allocation_bytes, physical_bytes = excluded.physical_bytes, turn = excluded.turn
where excluded.through > usage_window.through
    or excluded.through = usage_window.through and excluded.window_to < usage_window.window_to
returning account_id, resource_id, window_from)
insert into usage_touched (account_id, resource_id, window_from)
select account_id, resource_id, window_from from put where window_from < now() - interval '90 minutes'
-- name: meter_window_late
-- A row of a turn that is over: what no other row has of its run is added.
select usage_window_late(row($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, $5::text, $6::bigint, $7::timestamptz,
    $8::text, $9::bigint, $10::bigint, $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint,
    $16::bigint, $17::bigint, string_to_array($18, ',')::bigint[], $19::bigint, $20::bigint, $21::bigint, $22::bigint,
    $23::bigint, $24::bigint, $25::integer, $26::integer, $27::boolean, $28::bigint, $29::bigint, $30::bigint,
    $31::bigint, $32::bigint, $33::bigint, $34::bigint)::usage_window)
-- name: meter_gap_put
insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason)
values ($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, $5) on conflict do nothing
-- name: meter_contact_ok
insert into host_contact (host_id, last_ok, latency_us, cpu_total_ns)
values ($1::bigint, $2::timestamptz, $3::bigint, $4::bigint)
on conflict (host_id) do update set last_ok = excluded.last_ok, failing_since = null, error = null,
    latency_us = excluded.latency_us, cpu_total_ns = coalesce(excluded.cpu_total_ns, host_contact.cpu_total_ns)
-- name: meter_contact_failed
insert into host_contact (host_id, failing_since, error) values ($1::bigint, $2::timestamptz, $3)
on conflict (host_id) do update set failing_since = coalesce(host_contact.failing_since, excluded.failing_since),
    error = excluded.error
-- name: meter_pool_put
insert into host_pool (host_id, uuid, name, state, capacity_bytes, allocation_bytes, available_bytes, seen)
values ($1::bigint, $2::uuid, $3, $4, $5::bigint, $6::bigint, $7::bigint, $8::timestamptz)
on conflict (host_id, uuid) do update set name = excluded.name, state = excluded.state,
    capacity_bytes = excluded.capacity_bytes, allocation_bytes = excluded.allocation_bytes,
    available_bytes = excluded.available_bytes, seen = excluded.seen
where excluded.seen > host_pool.seen
-- name: meter_network_put
insert into host_network (host_id, uuid, name, bridge, active, leases, seen)
values ($1::bigint, $2::uuid, $3, $4, $5::boolean, $6::integer, $7::timestamptz)
on conflict (host_id, uuid) do update set name = excluded.name, bridge = excluded.bridge, active = excluded.active,
    leases = excluded.leases, seen = excluded.seen
where excluded.seen > host_network.seen
-- name: meter_cell_put
insert into host_cell (host_id, cell, memory_bytes, free_bytes, seen)
values ($1::bigint, $2::integer, $3::bigint, $4::bigint, $5::timestamptz)
on conflict (host_id, cell) do update set memory_bytes = excluded.memory_bytes, free_bytes = excluded.free_bytes,
    seen = excluded.seen
where excluded.seen > host_cell.seen
-- name: meter_evidence_put
-- What sockets were counted from: a new row whenever it says something else.  Amounts of memory
-- differ from call to call where a machine's memory grows and shrinks (topology_facts of meter/xml.h).
insert into host_evidence (host_id, seen, sha256, sockets, cores, threads, capabilities)
select $1::bigint, $2::timestamptz, encode(sha256(convert_to($6, 'UTF8')), 'hex'), $3::integer, $4::integer,
    $5::integer, $6
where not exists (select from (select capabilities from host_evidence where host_id = $1::bigint
        and seen <= $2::timestamptz order by seen desc limit 1) l
    where regexp_replace(l.capabilities, '(<(memory|pages) [^>]*[^>/]>)[0-9]+', '\1', 'g')
        = regexp_replace($6, '(<(memory|pages) [^>]*[^>/]>)[0-9]+', '\1', 'g'))
on conflict do nothing
-- name: meter_sampled
-- To whoever asked for a sample: it is in the tables.
select pg_notify('jeoul_sampled', $1)
-- name: meter_refused_put
insert into meter_refused as r (kind, key, line, error) values ($1, $2, $3, $4)
on conflict (kind, key) do update set line = excluded.line, error = excluded.error, last_at = excluded.last_at,
    count = r.count + 1
-- name: meter_partition
select usage_window_partition($1::timestamptz), usage_window_partition($1::timestamptz + interval '31 days')
