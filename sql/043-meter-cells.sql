-- NUMA cells of hosts: a guest fits where its cell has room, whatever the host has free in all.

create table host_cell (
    host_id      bigint not null references host,
    cell         integer not null,
    memory_bytes bigint not null check (memory_bytes >= 0),
    free_bytes   bigint not null check (free_bytes >= 0),
    seen         timestamptz not null,
    primary key (host_id, cell)
);
comment on table host_cell is 'local: memory of the NUMA cells of hosts, as the collector last saw it';
alter table host_cell enable row level security;
create policy roles on host_cell to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on host_cell for select to jeoul_web using ((select by_provider()));
grant select on host_cell to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert, update on host_cell to jeoul_meter;
