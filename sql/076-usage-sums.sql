-- Consumption that is settled, added up once and kept: a rater then reads only what is new.  A
-- cache and never a truth: with all of it deleted the next round gives the same bytes.

-- Sums of the windows of a resource that began before usage_sum_run.through, by the stretch of the
-- period in which no price changes (its begin).  Numerators as they were counted, nothing rounded.
create table usage_sum (
    account_id          bigint not null,
    period_from         timestamptz not null,
    resource_id         bigint not null,
    vm_id               bigint not null,
    stretch             timestamptz not null,
    resource_kind       text not null,
    windows             bigint not null,
    simulated           boolean not null,
    vcpu_ns             numeric not null,
    disk_read_bytes     numeric not null,
    disk_write_bytes    numeric not null,
    disk_read_requests  numeric not null,
    disk_write_requests numeric not null,
    net_rx_bytes        numeric not null,
    net_tx_bytes        numeric not null,
    primary key (account_id, period_from, resource_id, vm_id, stretch)
);
comment on table usage_sum is 'account_keyed: consumption that is settled, added up; may be deleted at any time, together with usage_sum_run';

-- What the sums of a period are made of.
create table usage_sum_run (
    account_id  bigint not null,
    period_from timestamptz not null,
    unread_from timestamptz not null,         -- windows from here on to through are added next
    through     timestamptz not null,         -- the windows that began before it are in the sums
    starts      timestamptz[] not null,       -- stretches up to there: where each begins,
    sum_in      integer[] not null,           -- and which one its windows are added to
    made_at     timestamptz,                  -- when all was read; null: it is yet to be
    primary key (account_id, period_from)
);
comment on table usage_sum_run is 'account_keyed: what usage_sum is made of; without a row there are no sums';

-- The newest windows of an account are found without a look at those of the whole month.  What the
-- collector writes again and again is not in it, so it does not grow by that.
create index usage_window_time on usage_window (account_id, window_from);

-- What is to be added to the sums.  Simple enough to become a part of the statement that asks, which
-- names the accounts; since and until are about months (of the table's partitions), no more.  unmade:
-- only of sums that are yet to be made of all rows.
create function usage_unsummed(since timestamptz, until timestamptz, unmade boolean) returns table (account_id bigint,
    period_from timestamptz, resource_id bigint, vm_id bigint, stretch timestamptz, resource_kind text, windows bigint,
    simulated boolean, vcpu_ns numeric, disk_read_bytes numeric, disk_write_bytes numeric, disk_read_requests numeric,
    disk_write_requests numeric, net_rx_bytes numeric, net_tx_bytes numeric)
language sql stable as $$
    select r.account_id, r.period_from, w.resource_id, w.vm_id,
        case cardinality(r.starts) when 1 then r.starts[1]
            else r.starts[r.sum_in[width_bucket(w.window_from, r.starts)]] end,
        min(w.resource_kind), count(*), bool_or(w.simulated), sum(w.vcpu_ns), sum(w.disk_read_bytes), sum(w.disk_write_bytes),
        sum(w.disk_read_requests), sum(w.disk_write_requests), sum(w.net_rx_bytes), sum(w.net_tx_bytes)
    from jeoul.usage_sum_run r
    join jeoul.usage_window w on w.account_id = r.account_id and w.window_from >= r.unread_from and w.window_from < r.through
    where w.window_from >= since and w.window_from < until and (r.made_at is null or not unmade)
    group by 1, 2, 3, 4, 5
$$;

-- Windows that were written when they might have been in a sum already: whoever writes a window that
-- began more than an hour and a half ago says so here, in the same transaction.
create sequence usage_touched_seq as bigint;
create table usage_touched (
    account_id  bigint not null,
    number      bigint not null default nextval('usage_touched_seq'),
    resource_id bigint not null,
    window_from timestamptz not null,
    noted_at    timestamptz not null default now(),
    primary key (account_id, number)
);
comment on table usage_touched is 'account_keyed: windows that came late: what they belong to is added up anew, then the row goes';

-- As before, and of windows that began before summed (null: of none) what usage_sum has counted.  Windows
-- are counted in the index alone, for a resource is of one kind.  Simple enough to become a part of the statement that asks.
create function usage_received(account bigint, since timestamptz, through timestamptz, until timestamptz, summed timestamptz)
returns table (sku text, received bigint, pending bigint)
language sql stable as $$
    with record as (
        select k.sku, 1::bigint as records, case when l.valid_from >= through then 1::bigint end as later
        from jeoul.lifetime l
        join (values ('running', 'vm.running', 0), ('running', 'vcpu', 1), ('running', 'memory.gib', 2),
                ('allocated', 'vm.allocated', 0), ('volume', 'volume.gib', 3), ('snapshot', 'snapshot.gib', 3),
                ('vm_snapshot', 'vm.snapshot.gib', 3), ('template', 'template.gib', 3), ('iso', 'iso.gib', 3),
                ('network', 'network', 0), ('address', 'address', 0), ('port_forward', 'port.forward', 0),
                ('security_group', 'security.group', 0), ('host', 'host.socket', 4), ('host', 'host.core', 5),
                ('host', 'host.core16', 5)) k (kind, sku, size) on k.kind = l.kind
        where l.account_id = account and l.valid_from < until and (l.valid_to is null or l.valid_to > since)
            and case k.size when 1 then l.vcpus is not null when 2 then l.memory_bytes is not null
                when 3 then l.size_bytes is not null when 4 then l.sockets is not null
                when 5 then l.cores is not null else true end
        union all
        select k.sku, w.records, w.later
        from (
            select k.resource_kind, sum(c.records)::bigint as records, sum(c.later)::bigint as later
            from (
                select resource_id, count(*) as records, count(*) filter (where window_from >= usage_received.through) as later
                from jeoul.usage_window
                where account_id = account and window_from >= greatest(since, summed) and window_from < until
                group by 1
            ) c
            cross join lateral (
                select w.resource_kind from jeoul.usage_window w where w.account_id = account and w.resource_id = c.resource_id
                    and w.window_from >= greatest(since, summed) and w.window_from < until limit 1
            ) k
            group by 1
            union all
            select resource_kind, sum(windows)::bigint, 0 from jeoul.usage_sum
            where summed is not null and account_id = account and period_from = since group by 1
        ) w
        join (values ('vm', 'cpu.time'), ('volume', 'disk.read.bytes'), ('volume', 'disk.write.bytes'),
                ('volume', 'disk.read.requests'), ('volume', 'disk.write.requests'), ('nic', 'net.rx.bytes'),
                ('nic', 'net.tx.bytes')) k (kind, sku) on k.kind = w.resource_kind
        union all
        select i.sku, 1, case when i.used_from >= through then 1 end
        from jeoul.usage_import_state i
        where i.account_id = account and i.state <> 'corrected' and i.used_from < until
            and case i.kind when 'amount' then i.used_from >= since else i.used_to is null or i.used_to > since end
    )
    select r.sku, sum(r.records)::bigint, coalesce(sum(r.later), 0)::bigint from record r group by r.sku
$$;
drop function usage_received(bigint, timestamptz, timestamptz, timestamptz);

---------------------------------------------------------------- rights

do $$
declare
    name text;
begin
    foreach name in array array['usage_sum', 'usage_sum_run', 'usage_touched'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
end $$;
grant select on usage_sum, usage_sum_run, usage_touched to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert, update, delete on usage_sum, usage_sum_run to jeoul_billing;
grant delete on usage_touched to jeoul_billing;
grant insert on usage_touched to jeoul_meter;
grant usage on usage_touched_seq to jeoul_meter;
