-- What a bill is made of, for statements of two kinds: those of many rows read it by a cursor, the others
-- at once, with a plan that is made once and not for each account.

-- All that an account used in [since, until), one resource after the other: lifetimes from a day before
-- on, because a run's start may count, and consumption as one sum per VM and stretch of starts (the
-- instants at which any price changes, the first of them since), where sum_in names for each stretch the
-- one that its sums go into; windows that began before summed (null: none) are in the kept sums.  The
-- account's own lifetimes name a VM: it may be another's now.  What nothing names is charged too.
-- Imported usage comes first, as resources with numbers below zero, or with the thing of ours that it is
-- about: levels one by one, amounts summed by stretch; what does not count (corrected, pending) comes
-- along to be counted.  Simple enough to become a part of the statement that asks.
create function bill_usage(account bigint, since timestamptz, until timestamptz, starts timestamptz[], sum_in integer[],
    summed timestamptz)
returns table (resource_id bigint, kind text, uuid uuid, name text, simulated boolean, used_from bigint, used_to bigint,
    offering text, vcpus integer, memory_bytes bigint, size_bytes bigint, sockets integer, cores integer, cores16 integer,
    vms bigint, volumes bigint, nics bigint, vcpu_ns numeric, disk_read numeric, disk_write numeric, disk_reads numeric,
    disk_writes numeric, net_rx numeric, net_tx numeric, sku text, quantity text, tags text, seq bigint, state text,
    records bigint, told text)
language sql stable as $$
with life as materialized (
    select * from jeoul.lifetime
    where account_id = account and valid_from < until
      and (valid_to is null or valid_to >= since - interval '1 day')
), named as (
    select distinct on (resource_id) resource_id, resource_uuid, resource_name
    from life where kind in ('running', 'allocated') order by resource_id, valid_from desc
), fresh as (
    select vm_id, starts[sum_in[width_bucket(window_from, starts)]] as stretch, bool_or(simulated) as simulated,
        count(*) filter (where resource_kind = 'vm') as vms,
        count(*) filter (where resource_kind = 'volume') as volumes,
        count(*) filter (where resource_kind = 'nic') as nics,
        sum(vcpu_ns) as vcpu_ns, sum(disk_read_bytes) as disk_read, sum(disk_write_bytes) as disk_write,
        sum(disk_read_requests) as disk_reads, sum(disk_write_requests) as disk_writes,
        sum(net_rx_bytes) as net_rx, sum(net_tx_bytes) as net_tx
    from jeoul.usage_window
    where account_id = account and window_from >= greatest(since, summed) and window_from < until
    group by 1, 2
), used as (
    select vm_id, stretch, bool_or(simulated) as simulated, sum(vms)::bigint as vms, sum(volumes)::bigint as volumes,
        sum(nics)::bigint as nics, sum(vcpu_ns) as vcpu_ns, sum(disk_read) as disk_read, sum(disk_write) as disk_write,
        sum(disk_reads) as disk_reads, sum(disk_writes) as disk_writes, sum(net_rx) as net_rx, sum(net_tx) as net_tx
    from (
        select * from fresh
        union all
        select vm_id, stretch, simulated, case resource_kind when 'vm' then windows else 0 end,
            case resource_kind when 'volume' then windows else 0 end, case resource_kind when 'nic' then windows else 0 end,
            vcpu_ns, disk_read_bytes, disk_write_bytes, disk_read_requests, disk_write_requests, net_rx_bytes, net_tx_bytes
        from jeoul.usage_sum where summed is not null and account_id = account and period_from = since
    ) both_kinds group by 1, 2
), told as materialized (
    select i.*, i.source || '/' || i.record as told, l.resource_id as thing,
        coalesce(l.resource_name, first_value(i.resource_name) over (partition by resource_uuid
            order by i.used_from desc, i.source collate "C", i.record collate "C")) as name
    from jeoul.usage_import_state i left join jeoul.usage_meter m on m.sku = i.sku left join lateral (
        select resource_id, resource_name from jeoul.lifetime
        where m.sku is null and account_id = account and resource_uuid = i.resource_uuid order by valid_from desc limit 1
    ) l on true
    where i.account_id = account and (i.kind = 'amount' and i.used_from >= since and i.used_from < until
        or i.kind = 'level' and i.used_from < until
            and (i.used_to is null or i.used_to >= since - interval '1 day'))
), imported as (
    select sku, kind, state, resource_uuid, thing, tags, null::integer as stretch, used_from, used_to, seq, quantity,
        1::bigint as records, name, told
    from told where kind = 'level' and (state = 'current' or used_to is null or used_to > since)
    union all
    select sku, kind, state, resource_uuid, thing, tags, sum_in[width_bucket(used_from, starts)], null, null, null,
        sum(quantity), count(*), name,
        array_to_string((array_agg(told order by used_from, told collate "C"))[1:20], E'\n')
    from told where kind = 'amount' group by 1, 2, 3, 4, 5, 6, 7, name
)
select l.resource_id, l.kind, l.resource_uuid, l.resource_name, l.simulated,
    (extract(epoch from l.valid_from) * 1000000)::bigint as since,
    (extract(epoch from l.valid_to) * 1000000)::bigint as until,
    o.name as offering, l.vcpus, l.memory_bytes, l.size_bytes, l.sockets, l.cores, case when l.cores is not null then greatest(l.cores, 16 * l.sockets) end,
    null::bigint as vms, null::bigint as volumes, null::bigint as nics, null::numeric as vcpu_ns,
    null::numeric as disk_read, null::numeric as disk_write, null::numeric as disk_reads,
    null::numeric as disk_writes, null::numeric as net_rx, null::numeric as net_tx,
    null as sku, null::text as quantity, null::text as tags, null::bigint as seq, null as state, null::bigint as records, null as told
from life l left join jeoul.offering o on o.id = l.offering_id
union all
select u.vm_id, 'window', coalesce(n.resource_uuid, v.uuid, lpad(to_hex(u.vm_id), 32, '0')::uuid),
    coalesce(n.resource_name, v.name, 'VM number ' || u.vm_id), u.simulated,
    (extract(epoch from u.stretch) * 1000000)::bigint, null,
    null, null, null, null, null, null, null, u.vms, u.volumes, u.nics, u.vcpu_ns,
    u.disk_read, u.disk_write, u.disk_reads, u.disk_writes, u.net_rx, u.net_tx,
    null, null, null, null, null, null, null
from used u
left join named n on n.resource_id = u.vm_id
left join jeoul.vm v on v.account_id = account and v.id = u.vm_id
union all
select coalesce(i.thing, -dense_rank() over (order by i.resource_uuid)), i.kind, i.resource_uuid, i.name, false,
    (extract(epoch from coalesce(i.used_from, starts[i.stretch])) * 1000000)::bigint,
    (extract(epoch from i.used_to) * 1000000)::bigint,
    null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
    i.sku, i.quantity::text, i.tags::text, i.seq, i.state, i.records, i.told
from imported i
$$;
