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

---------------------------------------------------------------- a period is closed

-- The rows of a period that is closed are read once for both, what is charged and the print; the print
-- stays what it was (051).

-- A window as its print takes it.
create function usage_window_text(w usage_window) returns text language sql stable as $$
    select row(w.window_from, w.window_to, w.resource_kind, w.vm_id,
        w.through, w.epoch, w.cpu_ns, w.vcpu_ns, w.net_rx_bytes, w.net_tx_bytes, w.disk_read_bytes, w.disk_write_bytes,
        w.disk_read_requests, w.disk_write_requests, w.raw_cpu_ns, w.raw_vcpu_ns, w.raw_net_rx, w.raw_net_tx,
        w.raw_disk_read, w.raw_disk_write, w.raw_disk_read_req, w.raw_disk_write_req, w.samples, w.resets,
        w.simulated, w.memory_bytes, w.memory_rss_bytes, w.memory_unused_bytes, w.capacity_bytes, w.allocation_bytes,
        w.physical_bytes)::text
$$;

-- The prints of lifetimes, and of windows, resource by resource, in one text each.
create function usage_prints_lives(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp as $$
    select coalesce(string_agg(print, '' order by resource_id), '')
    from (
        select resource_id, encode(sha256(convert_to(string_agg(row(kind, valid_from,
                case when valid_to <= until then valid_to end, resource_uuid, resource_name, vm_id, host_id,
                offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, open_reason,
                case when valid_to <= until then close_reason end, recorded_at)::text,
                E'\n' order by kind, valid_from), 'UTF8')), 'hex') as print
        from lifetime
        where account_id = account and valid_from < until and (valid_to is null or valid_to >= since - interval '1 day')
        group by resource_id
    ) prints
$$;
create function usage_prints_windows(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp as $$
    select coalesce(string_agg(print, '' order by resource_id), '')
    from (
        select resource_id, encode(sha256(convert_to(string_agg(usage_window_text(w), E'\n' order by window_from),
            'UTF8')), 'hex') as print
        from usage_window w
        where account_id = account and window_from >= since and window_from < until
        group by resource_id
    ) prints
$$;
create or replace function usage_print_metered(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set search_path = jeoul, public, pg_temp as $$
    select encode(sha256(convert_to(usage_prints_lives(account, since, until) || usage_prints_windows(account, since, until),
        'UTF8')), 'hex')
$$;

-- The sums of a whole period as usage_sum_run wants them, and beside them the prints of the same windows.
alter table usage_sum_run add column prints text; -- null: the period is not drawn up in this transaction
create function usage_sum_close(account bigint, since timestamptz, until timestamptz) returns void
language sql set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp set work_mem = '16MB' as $$
    with w as materialized (
        select resource_id, vm_id, window_from, resource_kind, simulated, vcpu_ns, disk_read_bytes, disk_write_bytes,
            disk_read_requests, disk_write_requests, net_rx_bytes, net_tx_bytes, usage_window_text(w) as line
        from usage_window w where account_id = account and window_from >= since and window_from < until
    ), printed as (
        select w.resource_id, encode(sha256(convert_to(string_agg(w.line, E'\n' order by w.window_from), 'UTF8')), 'hex') as print
        from w group by w.resource_id
    ), summed as (
        insert into usage_sum
        select r.account_id, r.period_from, w.resource_id, w.vm_id, r.starts[r.sum_in[width_bucket(w.window_from, r.starts)]],
            min(w.resource_kind), count(*), bool_or(w.simulated), sum(w.vcpu_ns), sum(w.disk_read_bytes), sum(w.disk_write_bytes),
            sum(w.disk_read_requests), sum(w.disk_write_requests), sum(w.net_rx_bytes), sum(w.net_tx_bytes)
        from usage_sum_run r cross join w
        where r.account_id = account and r.period_from = since
        group by 1, 2, 3, 4, 5
    )
    update usage_sum_run set prints = (select coalesce(string_agg(print, '' order by resource_id), '') from printed)
    where account_id = account and period_from = since
$$;
-- As usage_print, with the prints that were made when the period was summed up.
create function usage_print_drawn(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set search_path = jeoul, public, pg_temp as $$
    select case when told is null then metered
        else encode(sha256(convert_to(metered || told, 'UTF8')), 'hex') end
    from (
        select encode(sha256(convert_to(usage_prints_lives(account, since, until) || r.prints, 'UTF8')), 'hex') as metered,
            usage_print_imported(account, since, until) as told
        from usage_sum_run r where r.account_id = account and r.period_from = since
    ) p
$$;
