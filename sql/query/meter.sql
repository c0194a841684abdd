-- Statements of jeoul-meter.

-- name: meter_hosts
select id, uuid, name, uri, simulated from host where removed is null and state <> 'Removed' order by id
-- name: meter_inventory
-- Everything that has counters, VM by VM; fresh: begun under our eyes, so that the first
-- value counts whole.  A card is told by its address, a disk by its target.
with vms as (
    select v.*, exists (select from lifetime l where l.account_id = v.account_id and l.resource_id = v.id
        and l.kind = 'running' and l.valid_to is null and l.open_reason in ('created', 'started')) as fresh
    from vm v where v.removed is null and v.host_id is not null)
select 'vm' as kind, v.account_id, v.id, v.id as vm_id, v.uuid, v.host_id, '' as target, 0 as place, v.fresh, v.state
from vms v
union all
select 'nic', n.account_id, n.id, v.id, v.uuid, v.host_id, n.mac, 0, v.fresh, v.state
from nic n join vms v on v.account_id = n.account_id and v.id = n.vm_id where n.removed is null
union all
select 'volume', d.account_id, d.id, v.id, v.uuid, v.host_id, coalesce(d.target, ''), 0, v.fresh, v.state
from volume d join vms v on v.account_id = d.account_id and v.id = d.vm_id where d.removed is null
order by 4, 1, 8
-- name: meter_last_row
-- Where the collector left off: the newest row of a resource, whoever owned it then.
select account_id, window_from, window_to, through, epoch, cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes,
    disk_read_bytes, disk_write_bytes, disk_read_requests, disk_write_requests,
    raw_cpu_ns, array_to_string(raw_vcpu_ns, ','), raw_net_rx, raw_net_tx, raw_disk_read, raw_disk_write,
    raw_disk_read_req, raw_disk_write_req, samples, resets
from usage_window where resource_id = $1::bigint and window_from > now() - interval '62 days'
order by window_from desc, through desc limit 1
-- name: meter_window_put
-- An absolute state: written twice, late or again after a crash it changes nothing.
insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
    cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes, disk_read_requests,
    disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx, raw_disk_read, raw_disk_write,
    raw_disk_read_req, raw_disk_write_req, samples, resets, simulated)
values ($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, $5, $6::bigint, $7::timestamptz, $8,
    $9::bigint, $10::bigint, $11::bigint, $12::bigint, $13::bigint, $14::bigint, $15::bigint,
    $16::bigint, $17::bigint, string_to_array($18, ',')::bigint[], $19::bigint, $20::bigint, $21::bigint, $22::bigint,
    $23::bigint, $24::bigint, $25::integer, $26::integer, $27::boolean)
on conflict (account_id, resource_id, window_from) do update set
    window_to = excluded.window_to, through = excluded.through, epoch = excluded.epoch,
    cpu_ns = excluded.cpu_ns, vcpu_ns = excluded.vcpu_ns, net_rx_bytes = excluded.net_rx_bytes,
    net_tx_bytes = excluded.net_tx_bytes, disk_read_bytes = excluded.disk_read_bytes,
    disk_write_bytes = excluded.disk_write_bytes, disk_read_requests = excluded.disk_read_requests,
    disk_write_requests = excluded.disk_write_requests, raw_cpu_ns = excluded.raw_cpu_ns,
    raw_vcpu_ns = excluded.raw_vcpu_ns, raw_net_rx = excluded.raw_net_rx, raw_net_tx = excluded.raw_net_tx,
    raw_disk_read = excluded.raw_disk_read, raw_disk_write = excluded.raw_disk_write,
    raw_disk_read_req = excluded.raw_disk_read_req, raw_disk_write_req = excluded.raw_disk_write_req,
    samples = excluded.samples, resets = excluded.resets
where excluded.through > usage_window.through
-- name: meter_gap_put
insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason)
values ($1::bigint, $2::bigint, $3::timestamptz, $4::timestamptz, $5) on conflict do nothing
-- name: meter_contact_ok
insert into host_contact (host_id, last_ok, latency_us) values ($1::bigint, $2::timestamptz, $3::bigint)
on conflict (host_id) do update set last_ok = excluded.last_ok, failing_since = null, error = null,
    latency_us = excluded.latency_us
-- name: meter_contact_failed
insert into host_contact (host_id, failing_since, error) values ($1::bigint, $2::timestamptz, $3)
on conflict (host_id) do update set failing_since = coalesce(host_contact.failing_since, excluded.failing_since),
    error = excluded.error
-- name: meter_partition
select usage_window_partition($1::timestamptz), usage_window_partition($1::timestamptz + interval '31 days')
