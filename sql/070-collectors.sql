-- Collectors side by side: who asks which host, and rows of a collector that was replaced
-- (docs/decisions/044).

create sequence collector_turn;

-- One row per collector.  Its turn stands in each row of usage that it writes and is proved by
-- each of its transactions; who loses its hosts against its will gets another one.
create table collector (
    name          text primary key check (name ~ '^[^[:cntrl:]]{1,128}$'),
    turn          bigint not null unique,
    lost          boolean not null default false, -- another has its hosts: this turn is over
    session       text not null,                  -- of its process: of two of one name the later one counts
    machine       text not null,
    started       timestamptz not null,
    seen          timestamptz not null,           -- its last sign of life
    clean         timestamptz not null,           -- of what it saw before then all is written
    expires       timestamptz not null,           -- from then on another may have its hosts
    backend       integer not null,               -- its connection, which is cut when its hosts are taken
    backend_start timestamptz not null,
    host_count    integer not null default 0,
    vm_count      integer not null default 0
);
comment on table collector is 'local: collectors, their turns and last signs of life';

-- A host is asked by the collector whose turn stands here.  It lasts as long as that collector
-- lives: one row is renewed, however many hosts it has.
create table host_lease (
    host_id bigint primary key references host,
    turn    bigint not null,
    since   timestamptz not null
);
create index host_lease_turn on host_lease (turn);
comment on table host_lease is 'local: which collector asks which host';

alter table usage_window add column turn bigint not null default 0;
grant update (turn) on usage_window to jeoul_meter;

---------------------------------------------------------------- leases

-- A sign of life, and how the hosts are to be shared out: how many collectors live, how many of
-- them come before this one by name, how many hosts there are and how many it has.
create function collector_beat(p_name text, p_session text, p_first boolean, p_seconds integer, p_machine text, p_vms integer,
    p_clean_ms bigint, out turn bigint, out known integer, out alive integer, out rank integer, out hosts integer, out held integer)
language plpgsql set search_path = jeoul, pg_temp as $$
declare
    began timestamptz := (select a.backend_start from pg_stat_activity a where a.pid = pg_backend_pid());
    until timestamptz := now() + p_seconds * interval '1 second';
    all_until timestamptz := now() - p_clean_ms * interval '1 millisecond';
begin
    set local synchronous_commit = off; -- one that is lost is said again
    -- A host that was taken out is nobody's: it must not stand for one that is to be asked.
    delete from host_lease l using host h where h.id = l.host_id and (h.removed is not null or h.state = 'Removed')
        and l.turn = (select c.turn from collector c where c.name = p_name);
    update collector c set turn = case when c.lost then nextval('collector_turn') else c.turn end, lost = false,
        session = p_session, machine = p_machine, started = case when p_first then now() else c.started end, seen = now(),
        clean = all_until, expires = until, backend = pg_backend_pid(), backend_start = began, vm_count = p_vms,
        host_count = (select count(*) from host_lease l where l.turn = c.turn)
    where c.name = p_name and (p_first or c.session = p_session) returning c.turn into turn;
    if turn is null then
        insert into collector as c (name, turn, session, machine, started, seen, clean, expires, backend, backend_start)
        select p_name, nextval('collector_turn'), p_session, p_machine, now(), now(), all_until, until, pg_backend_pid(), began
        where not exists (select from collector c where c.name = p_name)
        on conflict do nothing returning c.turn into turn;
    end if;
    if turn is null then
        raise exception 'another collector is called "%" too: give one of them a name of its own (meter.name)', p_name
            using errcode = 'JECON';
    end if;
    select count(*), count(*) filter (where not c.lost and c.expires > now()),
        count(*) filter (where not c.lost and c.expires > now() and c.name < p_name)
    into known, alive, rank from collector c where c.seen > now() - interval '62 days';
    hosts := (select count(*) from host h where h.removed is null and h.state <> 'Removed');
    held := (select count(*) from host_lease l where l.turn = collector_beat.turn);
end $$;

-- At the head of each writing transaction: who was replaced writes nothing.  The lock lets nobody
-- replace it until the transaction is over.
create function collector_fence(p_turn bigint, p_session text) returns boolean
language plpgsql set search_path = jeoul, pg_temp as $$
begin
    perform from collector c where c.turn = p_turn and c.session = p_session and not c.lost for share;
    if not found then
        raise exception 'turn % of this collector is over', p_turn using errcode = 'JECON';
    end if;
    return true;
end $$;

-- Up to so many hosts that nobody asks, never waiting.  p_replace: the turns of those that gave no
-- sign of life are ended; their connections are cut, so that none stops in the middle of a
-- transaction.
create function collector_take(p_turn bigint, p_session text, p_wanted integer, p_replace boolean) returns integer
language plpgsql set search_path = jeoul, pg_temp as $$
declare
    got integer;
    more integer;
begin
    perform collector_fence(p_turn, p_session);
    if p_replace then
        perform pg_terminate_backend(a.pid) from collector c
            join pg_stat_activity a on a.pid = c.backend and a.backend_start = c.backend_start and a.usename = current_user
            where c.expires < now() and not c.lost and exists (select from host_lease l where l.turn = c.turn);
        update collector set lost = true where name in (select c.name from collector c where c.expires < now()
            and not c.lost and exists (select from host_lease l where l.turn = c.turn) for update skip locked);
    end if;
    with free as (
        select l.host_id from host_lease l join host h on h.id = l.host_id
        where not exists (select from collector c where c.turn = l.turn and not c.lost)
            and h.removed is null and h.state <> 'Removed'
        order by l.host_id limit p_wanted for update of l skip locked
    )
    update host_lease l set turn = p_turn, since = now() from free where l.host_id = free.host_id;
    get diagnostics got = row_count;
    insert into host_lease (host_id, turn, since)
    select h.id, p_turn, now() from host h where h.removed is null and h.state <> 'Removed'
        and not exists (select from host_lease l where l.host_id = h.id) order by h.id limit p_wanted - got
    on conflict do nothing;
    get diagnostics more = row_count;
    return got + more;
end $$;

---------------------------------------------------------------- rows of before

-- What a row counted of each counter, and what that showed at its end.
create function usage_window_fields(w usage_window) returns table (field integer, counted bigint, shown bigint)
language sql immutable set search_path = jeoul, pg_temp as $$
    values (1, w.cpu_ns, w.raw_cpu_ns),
        (2, w.vcpu_ns, (select sum(x)::bigint from unnest(w.raw_vcpu_ns) x)),
        (3, w.net_rx_bytes, w.raw_net_rx), (4, w.net_tx_bytes, w.raw_net_tx),
        (5, w.disk_read_bytes, w.raw_disk_read), (6, w.disk_write_bytes, w.raw_disk_write),
        (7, w.disk_read_requests, w.raw_disk_read_req), (8, w.disk_write_requests, w.raw_disk_write_req)
$$;

-- Whether a run of a guest's process is over for everybody: it ended 20 s ago, as a later run or the
-- provisioning core says, and each collector that may still write has written what it saw until 10 s ago: so
-- nobody has anything of it in memory that is to come.
create function usage_run_over(n usage_window) returns boolean
language sql stable set search_path = jeoul, pg_temp as $$
    select not exists (select from collector c where not c.lost and c.clean < now() - interval '10 seconds'
            and (c.expires > now() or exists (select from host_lease l where l.turn = c.turn)))
        and (exists (select from usage_window w where w.resource_id = n.resource_id and w.through > n.through and w.epoch <> n.epoch
                and w.window_from > n.window_from - interval '1 day' and w.through < now() - interval '20 seconds')
            or coalesce((select greatest(l.valid_from, l.valid_to) < now() - interval '20 seconds'
                    and (l.valid_to is not null and l.close_reason not like 'paused%'
                        or not exists (select from vm v where v.id = n.vm_id and v.removed is null and v.host_id is not null
                            and n.epoch like v.epoch || '/%'))
                from lifetime l where l.resource_id = n.vm_id and l.kind = 'running' order by l.valid_from desc limit 1), true))
$$;

-- A row whose collector may have been replaced since: a row is of one run, so it says from where to
-- where it counted each counter of that run; what no other row has of it is added, in any order and
-- however often it comes.  Answers 'taken', 'covered' (others have all of it), or 'waits': its run
-- goes on, and whoever asks the host now is about to count it.  What it changes is told to the rater
-- (usage_touched, migration 076), which may have added it up.
create function usage_window_late(n usage_window) returns text
language plpgsql set search_path = jeoul, pg_temp as $$
declare
    live boolean;
    adds bigint[];
    own usage_window;
    before usage_window;
    after usage_window;
    low timestamptz := n.window_from;
    high timestamptz := n.window_to;
begin
    perform from collector c order by c.name limit 1 for update; -- one at a time
    perform from collector c where c.turn = n.turn and not c.lost for share;
    live := found;
    -- A counter that fell within its run, or a run that nobody saw begin, can't be compared.
    if not live and (n.resets > 0 or n.epoch like '%!%') and exists (select from usage_window w
            where w.resource_id = n.resource_id and w.turn <> n.turn and w.through > n.window_from) then
        raise exception 'its counter fell while another collector counted it too: nobody knows how much is in both'
            using errcode = 'JEINP';
    end if;
    update usage_window w set window_to = n.window_to
    where w.account_id = n.account_id and w.resource_id = n.resource_id and w.window_from = n.window_from and w.turn = n.turn
        and w.window_to > n.window_to and w.through <= n.through and w.through <= n.window_to;
    select array_agg(case when f.shown is null or n.resets > 0 then f.counted
            else f.shown - greatest(f.shown - f.counted, coalesce((
                select max(least(g.shown, f.shown)) from usage_window w cross join lateral usage_window_fields(w) g
                where w.resource_id = n.resource_id and w.epoch = n.epoch and w.window_from > n.window_from - interval '1 day'
                    and w.resets = 0 and g.field = f.field and g.shown - g.counted < f.shown), 0)) end order by f.field)
    into adds from usage_window_fields(n) f;
    select * into own from usage_window w
    where w.account_id = n.account_id and w.resource_id = n.resource_id and w.window_from = n.window_from;
    if own.turn = n.turn and own.through >= n.through or not live and 0 = all (adds) then
        return 'covered';
    end if;
    if not live and not usage_run_over(n) then
        return 'waits';
    end if;
    if own.turn = n.turn and n.through <= own.window_to then
        if n.resets > 0 then -- an absolute state, as ever
            own.cpu_ns := 0; own.vcpu_ns := 0; own.net_rx_bytes := 0; own.net_tx_bytes := 0; own.disk_read_bytes := 0;
            own.disk_write_bytes := 0; own.disk_read_requests := 0; own.disk_write_requests := 0;
        end if;
        update usage_window w set window_to = least(w.window_to, n.window_to), through = n.through, epoch = n.epoch,
            cpu_ns = own.cpu_ns + adds[1], vcpu_ns = own.vcpu_ns + adds[2], net_rx_bytes = own.net_rx_bytes + adds[3],
            net_tx_bytes = own.net_tx_bytes + adds[4], disk_read_bytes = own.disk_read_bytes + adds[5],
            disk_write_bytes = own.disk_write_bytes + adds[6], disk_read_requests = own.disk_read_requests + adds[7],
            disk_write_requests = own.disk_write_requests + adds[8], raw_cpu_ns = n.raw_cpu_ns, raw_vcpu_ns = n.raw_vcpu_ns,
            raw_net_rx = n.raw_net_rx, raw_net_tx = n.raw_net_tx, raw_disk_read = n.raw_disk_read,
            raw_disk_write = n.raw_disk_write, raw_disk_read_req = n.raw_disk_read_req,
            raw_disk_write_req = n.raw_disk_write_req, samples = n.samples, resets = n.resets,
            simulated = w.simulated or n.simulated, memory_bytes = n.memory_bytes, memory_rss_bytes = n.memory_rss_bytes,
            memory_unused_bytes = n.memory_unused_bytes, capacity_bytes = n.capacity_bytes,
            allocation_bytes = n.allocation_bytes, physical_bytes = n.physical_bytes
        where w.account_id = n.account_id and w.resource_id = n.resource_id and w.window_from = n.window_from
            and w.through < n.through;
        if not found then
            return 'covered';
        end if;
        insert into usage_touched (account_id, resource_id, window_from) values (n.account_id, n.resource_id, n.window_from);
        return 'taken';
    end if;
    -- Windows of a resource follow each other, whoever wrote them.
    select * into before from usage_window w where w.resource_id = n.resource_id and w.through < n.through
    order by w.through desc limit 1;
    if not live then -- the collector may still write more of a row that is of its turn
        low := greatest(low, least(before.window_to, n.through - interval '1 microsecond'));
    end if;
    if own.turn is not null then
        low := n.through - interval '1 microsecond';
    end if;
    select * into after from usage_window w where w.resource_id = n.resource_id and w.through > n.through
    order by w.window_from limit 1;
    if not live and after.window_from < n.through and before.epoch = n.epoch then
        -- While it migrated both hosts showed it: there is no room between the two, what is left goes with the first.
        update usage_window w set cpu_ns = w.cpu_ns + adds[1], vcpu_ns = w.vcpu_ns + adds[2], net_rx_bytes = w.net_rx_bytes + adds[3],
            net_tx_bytes = w.net_tx_bytes + adds[4], disk_read_bytes = w.disk_read_bytes + adds[5],
            disk_write_bytes = w.disk_write_bytes + adds[6], disk_read_requests = w.disk_read_requests + adds[7],
            disk_write_requests = w.disk_write_requests + adds[8], raw_cpu_ns = n.raw_cpu_ns, raw_vcpu_ns = n.raw_vcpu_ns,
            raw_net_rx = n.raw_net_rx, raw_net_tx = n.raw_net_tx, raw_disk_read = n.raw_disk_read,
            raw_disk_write = n.raw_disk_write, raw_disk_read_req = n.raw_disk_read_req, raw_disk_write_req = n.raw_disk_write_req
        where w.account_id = before.account_id and w.resource_id = before.resource_id and w.window_from = before.window_from;
        insert into usage_touched (account_id, resource_id, window_from)
        values (before.account_id, before.resource_id, before.window_from);
        return 'taken';
    end if;
    update usage_window w set window_to = low
    where w.account_id = before.account_id and w.resource_id = before.resource_id and w.window_from = before.window_from
        and w.window_to > low and w.through <= low;
    high := least(high, greatest(after.window_from, n.through));
    insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
        cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes, disk_read_requests,
        disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx, raw_disk_read, raw_disk_write,
        raw_disk_read_req, raw_disk_write_req, samples, resets, simulated, memory_bytes, memory_rss_bytes,
        memory_unused_bytes, capacity_bytes, allocation_bytes, physical_bytes, turn)
    values (n.account_id, n.resource_id, low, high, n.resource_kind, n.vm_id, n.through, n.epoch,
        adds[1], adds[2], adds[3], adds[4], adds[5], adds[6], adds[7], adds[8], n.raw_cpu_ns, n.raw_vcpu_ns, n.raw_net_rx,
        n.raw_net_tx, n.raw_disk_read, n.raw_disk_write, n.raw_disk_read_req, n.raw_disk_write_req, n.samples, n.resets,
        n.simulated, n.memory_bytes, n.memory_rss_bytes, n.memory_unused_bytes, n.capacity_bytes, n.allocation_bytes,
        n.physical_bytes, n.turn);
    insert into usage_touched (account_id, resource_id, window_from) values (n.account_id, n.resource_id, low);
    return 'taken';
end $$;

---------------------------------------------------------------- seen by the provider

create view api_collector with (security_invoker = true) as
select c.name as row_id, c.name as name, c.machine,
    case when c.lost or c.expires < now() then 'Gone' else 'Up' end as state,
    case when c.lost then 0 else (select count(*) from host_lease l where l.turn = c.turn) end as hosts,
    case when c.lost then 0 else c.vm_count end as virtualmachines, c.seen as lastseen, c.started, c.turn
from collector c where c.seen > now() - interval '62 days';

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['collector', 'host_lease'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I for select to jeoul_web using ((select by_provider()))', name);
        execute format('grant select on %I to %s, jeoul_web', name, roles);
        execute format('grant insert, update on %I to jeoul_meter', name);
    end loop;
end $$;
grant delete on host_lease to jeoul_meter;
grant usage on collector_turn to jeoul_meter;
grant select on api_collector to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
revoke all on function collector_beat(text, text, boolean, integer, text, integer, bigint), collector_fence(bigint, text),
    collector_take(bigint, text, integer, boolean), usage_run_over(usage_window), usage_window_late(usage_window) from public;
grant execute on function collector_beat(text, text, boolean, integer, text, integer, bigint), collector_fence(bigint, text),
    collector_take(bigint, text, integer, boolean), usage_run_over(usage_window), usage_window_late(usage_window) to jeoul_meter;
