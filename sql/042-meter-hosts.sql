-- What a host has beside its guests, as the collector last saw it, and what its sockets were
-- counted from.

create table host_pool (
    host_id          bigint not null references host,
    uuid             uuid not null,
    name             text not null,
    state            text not null check (state in ('running', 'building', 'degraded', 'inaccessible', 'inactive')),
    capacity_bytes   bigint not null check (capacity_bytes >= 0),
    allocation_bytes bigint not null check (allocation_bytes >= 0),
    available_bytes  bigint not null check (available_bytes >= 0),
    seen             timestamptz not null,
    primary key (host_id, uuid)
);
comment on table host_pool is 'local: storage pools of hosts; one that is gone is no longer seen';

create table host_network (
    host_id bigint not null references host,
    uuid    uuid not null,
    name    text not null,
    bridge  text not null,
    active  boolean not null,
    leases  integer check (leases >= 0),  -- null: its DHCP does not say
    seen    timestamptz not null,
    primary key (host_id, uuid)
);
comment on table host_network is 'local: networks of hosts; one that is gone is no longer seen';

-- Append-only: the period of a licence is proved by the row that held then.
create table host_evidence (
    host_id      bigint not null references host,
    seen         timestamptz not null,     -- first time that it said so
    sha256       text not null,
    sockets      integer not null check (sockets > 0),
    cores        integer not null check (cores > 0),
    threads      integer not null check (threads > 0),
    capabilities text not null,
    primary key (host_id, seen)
);
comment on table host_evidence is 'local: the capabilities that sockets were counted from, each time they changed';

-- Of all its CPUs since it was booted: less than before means that it was booted anew.
alter table host_contact add column cpu_total_ns bigint;

do $$
declare
    name text;
begin
    foreach name in array array['host_pool', 'host_network', 'host_evidence'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy web on %I for select to jeoul_web using ((select by_provider()))', name);
        execute format('grant select on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web', name);
        execute format('grant insert on %I to jeoul_meter', name);
    end loop;
end $$;
grant update on host_pool, host_network to jeoul_meter;
