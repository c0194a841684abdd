-- Inventory: pods, clusters, capacity with overcommit, maintenance, dedication, what hosts
-- were like from when to when, and groups of VMs that keep together or apart.

create table pod (
    id      bigint generated always as identity primary key,
    uuid    uuid not null unique default gen_random_uuid(),
    zone_id bigint not null references zone,
    name    text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    created timestamptz not null default now(),
    removed timestamptz
);
create unique index pod_name_once on pod (zone_id, name) where removed is null;
comment on table pod is 'reference: racks of a zone';

create table cluster (
    id                bigint generated always as identity primary key,
    uuid              uuid not null unique default gen_random_uuid(),
    pod_id            bigint not null references pod,
    name              text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    enabled           boolean not null default true,
    -- how much more may be promised than there is; a virtual CPU is a share, memory is not
    cpu_overcommit    numeric(8, 3) not null default 16 check (cpu_overcommit between 1 and 1000),
    memory_overcommit numeric(8, 3) not null default 1 check (memory_overcommit between 1 and 100),
    dedicated_domain  bigint references domain,
    dedicated_account bigint references account,
    created           timestamptz not null default now(),
    removed           timestamptz
);
create unique index cluster_name_once on cluster (pod_id, name) where removed is null;
comment on table cluster is 'reference: hosts that are alike';
insert into pod (zone_id, name) select id, 'pod1' from zone;
insert into cluster (pod_id, name) select id, 'cluster1' from pod;

alter table host
    add column cluster_id        bigint references cluster,
    add column resource_state    text not null default 'Enabled' check (resource_state in
        ('Enabled', 'Disabled', 'PrepareForMaintenance', 'Maintenance', 'ErrorInPrepareForMaintenance')),
    add column tags              text not null default '',   -- a,b,c: what offerings may ask for
    add column dedicated_domain  bigint references domain,
    add column dedicated_account bigint references account,
    add column ha_only           boolean not null default false, -- kept empty for those whose host failed
    add column reserved_bytes    bigint not null default 536870912 check (reserved_bytes >= 0), -- of the host itself
    add column numa_cells        integer check (numa_cells > 0),
    add column cpu_model         text,
    -- what may be promised and what is: kept by the statement that changes it, compared by
    -- sql/checks/provision_capacity.sql
    add column vcpus_room        bigint not null default 0,
    add column memory_room       bigint not null default 0,
    add column vcpus_used        bigint not null default 0,
    add column memory_used       bigint not null default 0,
    add column memory_free       bigint generated always as (memory_room - memory_used) stored;
update host h set cluster_id = (select min(c.id) from cluster c join pod p on p.id = c.pod_id where p.zone_id = h.zone_id);
create index host_by_room on host (memory_free desc, id) where removed is null and state = 'Up' and resource_state = 'Enabled';

-- What a VM holds of its host: from its placement to its stop.
alter table vm
    add column held_host_id bigint references host,
    add column held_vcpus   bigint not null default 0,
    add column held_memory  bigint not null default 0;
update vm set held_host_id = host_id, held_vcpus = vcpus, held_memory = memory_bytes
where removed is null and host_id is not null and state in ('Starting', 'Running', 'Paused', 'Stopping');
update host h set vcpus_used = u.vcpus, memory_used = u.memory
from (select held_host_id, sum(held_vcpus) as vcpus, sum(held_memory) as memory from vm group by 1) u
where u.held_host_id = h.id;
update host h set vcpus_room = floor(coalesce(h.threads, 0) * c.cpu_overcommit),
    memory_room = greatest(0, floor(coalesce(h.memory_bytes, 0) * c.memory_overcommit) - h.reserved_bytes)
from cluster c where c.id = h.cluster_id;

-- Licences are counted by it, so it is kept: one row per change.
create table host_history (
    host_id         bigint not null references host,
    valid_from      timestamptz not null,
    valid_to        timestamptz check (valid_to > valid_from),
    sockets         integer not null,
    cores           integer not null,
    threads         integer not null,
    numa_cells      integer not null default 1,
    memory_bytes    bigint not null,
    cpu_model       text,
    hypervisor      text,
    libvirt_version text,
    hv_version      text,
    capabilities_sha256 text not null,
    primary key (host_id, valid_from)
);
create unique index host_history_open on host_history (host_id) where valid_to is null;
comment on table host_history is 'reference: what hosts were like from when to when; append-only but for the open end';
insert into host_history (host_id, valid_from, sockets, cores, threads, memory_bytes, hypervisor, libvirt_version, hv_version,
    capabilities_sha256)
select id, created, sockets, cores, threads, memory_bytes, hypervisor, libvirt_version, hv_version,
    encode(sha256(convert_to(coalesce(capabilities, ''), 'UTF8')), 'hex')
from host where sockets is not null and removed is null;

---------------------------------------------------------------- together or apart

create table affinity_group (
    account_id  bigint not null references account,
    id          bigint not null default nextval('resource_id_seq'),
    uuid        uuid not null default gen_random_uuid(),
    name        text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    kind        text not null check (kind in ('host affinity', 'host anti-affinity',
        'non-strict host affinity', 'non-strict host anti-affinity')),
    description text not null default '',
    created     timestamptz not null default now(),
    primary key (account_id, id),
    unique (account_id, name)
);
create unique index affinity_group_uuid_once on affinity_group (account_id, uuid);
comment on table affinity_group is 'account_keyed: VMs that keep together or apart';
create table affinity_member (
    account_id bigint not null references account,
    group_id   bigint not null,
    vm_id      bigint not null,
    primary key (account_id, group_id, vm_id)
);
create index affinity_member_vm on affinity_member (account_id, vm_id);
comment on table affinity_member is 'account_keyed: which VMs are in which group';

alter table offering add column host_tags text not null default '',
    add column ha boolean not null default false;

---------------------------------------------------------------- views

drop view api_host;
create view api_host with (security_invoker = true) as
select h.id as row_id, h.uuid as id, h.name,
    case h.state when 'Unreachable' then 'Disconnected' else h.state end as state,
    case when h.removed is null then h.resource_state else 'Disabled' end as resourcestate,
    'Routing' as type, h.uri, hypervisor_name(h.hypervisor, h.simulated) as hypervisor,
    h.hv_version as hypervisorversion, h.libvirt_version as libvirtversion,
    h.domain_type as domaintype, h.simulated, h.sockets as cpusockets, h.cores as cpucores,
    h.threads as cpunumber, h.memory_bytes as memorytotal,
    h.vcpus_used as vcpusallocated, h.memory_used as memoryallocated,
    coalesce(u.count, 0) as virtualmachines,
    c.last_ok as lastpinged, c.failing_since as failingsince, coalesce(c.error, h.error) as error,
    z.uuid as zoneid, z.name as zonename, a.name as account, h.created, h.removed,
    p.uuid as podid, p.name as podname, k.uuid as clusterid, k.name as clustername, nullif(h.tags, '') as hosttags,
    h.numa_cells as numacells, h.cpu_model as cpumodel, h.vcpus_room as vcpusallocatable, h.memory_room as memoryallocatable,
    h.ha_only as hahost, coalesce(da.name, dka.name) as dedicatedaccount, coalesce(dd.path, dkd.path) as dedicateddomain
from host h
join zone z on z.id = h.zone_id
join account a on a.id = h.account_id
left join cluster k on k.id = h.cluster_id
left join pod p on p.id = k.pod_id
left join account da on da.id = h.dedicated_account left join account dka on dka.id = k.dedicated_account
left join domain dd on dd.id = h.dedicated_domain left join domain dkd on dkd.id = k.dedicated_domain
left join host_contact c on c.host_id = h.id
left join lateral (
    select count(*) as count
    from vm v where v.host_id = h.id and v.removed is null and v.state in ('Starting', 'Running', 'Paused', 'Stopping')
) u on true;

create view api_pod with (security_invoker = true) as
select p.id as row_id, p.uuid as id, p.name, 'Enabled' as allocationstate, z.uuid as zoneid, z.name as zonename, p.removed
from pod p join zone z on z.id = p.zone_id;

create view api_cluster with (security_invoker = true) as
select k.id as row_id, k.uuid as id, k.name, p.uuid as podid, p.name as podname, z.uuid as zoneid, z.name as zonename,
    'KVM' as hypervisortype, 'CloudManaged' as clustertype, case when k.enabled then 'Enabled' else 'Disabled' end as allocationstate,
    'Managed' as managedstate, k.cpu_overcommit::text as cpuovercommitratio, k.memory_overcommit::text as memoryovercommitratio,
    a.name as dedicatedaccount, d.path as dedicateddomain, k.removed
from cluster k join pod p on p.id = k.pod_id join zone z on z.id = p.zone_id
left join account a on a.id = k.dedicated_account left join domain d on d.id = k.dedicated_domain;

create view api_host_history with (security_invoker = true) as
select y.host_id || '/' || y.valid_from as row_id, h.uuid as hostid, h.name as hostname, y.valid_from as startdate,
    y.valid_to as enddate, y.sockets as cpusockets, y.cores as cpucores, y.threads as cpunumber, y.numa_cells as numacells,
    y.memory_bytes as memorytotal, y.cpu_model as cpumodel, y.hypervisor, y.libvirt_version as libvirtversion,
    y.hv_version as hypervisorversion, y.capabilities_sha256 as capabilitieschecksum
from host_history y join host h on h.id = y.host_id;

-- CloudStack's types: 0 memory (bytes), 1 CPU (here: virtual CPUs), 3 storage (bytes).
create view api_capacity with (security_invoker = true) as
select z.id as zone_row, z.uuid as zoneid, z.name as zonename, p.uuid as podid, p.name as podname, k.uuid as clusterid,
    k.name as clustername, c.type, c.name, sum(c.used)::bigint as capacityallocated, sum(c.used)::bigint as capacityused,
    sum(c.room)::bigint as capacitytotal,
    to_char(case when sum(c.room) > 0 then 100 * sum(c.used) / sum(c.room) else 0 end, 'FM999999990.00') as percentused
from host h
join cluster k on k.id = h.cluster_id join pod p on p.id = k.pod_id join zone z on z.id = h.zone_id
cross join lateral (values (0, 'MEMORY', h.memory_used::numeric, h.memory_room::numeric),
    (1, 'CPU', h.vcpus_used::numeric, h.vcpus_room::numeric)) c(type, name, used, room)
where h.removed is null and not h.simulated
group by z.id, z.uuid, z.name, p.uuid, p.name, k.uuid, k.name, c.type, c.name
union all
select z.id, z.uuid, z.name, null, null, null, null, 3, 'STORAGE_ALLOCATED', sum(v.bytes)::bigint, sum(coalesce(s.used_bytes, 0))::bigint,
    sum(floor(coalesce(s.capacity_bytes, 0) * s.overcommit))::bigint,
    to_char(case when sum(s.capacity_bytes) > 0 then 100 * sum(v.bytes) / sum(s.capacity_bytes * s.overcommit) else 0 end, 'FM999999990.00')
from storage_pool s join zone z on z.id = s.zone_id
cross join lateral (select coalesce(sum(size_bytes), 0) as bytes from volume d where d.pool_id = s.id and d.expunged is null) v
where s.removed is null group by z.id, z.uuid, z.name;

create view api_affinity_group with (security_invoker = true) as
select g.account_id, g.id as row_id, g.uuid as id, g.name, g.kind as type, g.description,
    a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath,
    coalesce((select jsonb_agg(v.uuid order by v.id) from affinity_member x
        join vm v on v.account_id = x.account_id and v.id = x.vm_id and v.removed is null
        where x.account_id = g.account_id and x.group_id = g.id), '[]') as "virtualmachineIds"
from affinity_group g join account a on a.id = g.account_id join domain m on m.id = a.domain_id;

create or replace view api_virtual_machine with (security_invoker = true) as
select v.account_id, v.id as row_id, v.uuid as id, v.name, v.name as displayname,
    v.instance_name as instancename, a.name as account, d.name as domain, d.uuid as domainid, d.path as domainpath,
    -- A paused guest holds its host's memory: CloudStack counts it as running.
    case v.state when 'Paused' then 'Running' else v.state end as state,
    v.state = 'Paused' as paused, v.state_at as stateat,
    z.uuid as zoneid, z.name as zonename, h.uuid as hostid, h.name as hostname,
    t.uuid as templateid, t.name as templatename, t.name as templatedisplaytext,
    o.uuid as serviceofferingid, o.name as serviceofferingname,
    v.vcpus as cpunumber, v.memory_bytes / 1048576 as memory,
    hypervisor_name(m.hypervisor, coalesce(m.simulated, false)) as hypervisor,
    coalesce(m.simulated, false) as simulated, v.adopted, v.error,
    v.ha as haenable, coalesce(t.password_enabled, false) as passwordenabled, true as displayvm,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', n.uuid, 'macaddress', n.mac,
            'networkid', w.uuid, 'networkname', coalesce(w.name, n.network),
            'type', case w.mode when 'bridge' then 'Shared' when 'vlan' then 'L2' else 'Isolated' end, 'traffictype', 'Guest',
            'gateway', host(w.gateway4), 'netmask', host(netmask(w.cidr4)), 'isdefault', n.first)) order by n.id)
        from (select *, row_number() over (order by id) = 1 as first from nic
              where nic.account_id = v.account_id and nic.vm_id = v.id and nic.removed is null) n
        left join network w on w.id = n.network_id), '[]') as nic,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', w.uuid, 'name', w.name, 'type',
            case w.kind when 'root' then 'ROOT' else 'DATADISK' end, 'device', w.target,
            'size', w.size_bytes, 'state', w.state)) order by w.id)
        from volume w where w.account_id = v.account_id and w.vm_id = v.id and w.removed is null), '[]') as volumes,
    coalesce((select jsonb_agg(jsonb_build_object('id', g.uuid, 'name', g.name, 'type', g.kind) order by g.id)
        from affinity_member x join affinity_group g on g.account_id = x.account_id and g.id = x.group_id
        where x.account_id = v.account_id and x.vm_id = v.id), '[]') as affinitygroup, '[]'::jsonb as securitygroup, tags_of(v.account_id, v.uuid) as tags,
    j.uuid as jobid, case when j.uuid is not null then 0 end as jobstatus,
    v.created, v.removed,
    i.uuid as isoid, i.name as isoname, x.uuid as rescueid, v.expunged,
    v.next_vcpus as nextcpunumber, v.next_memory_bytes / 1048576 as nextmemory
from vm v
join account a on a.id = v.account_id
join domain d on d.id = a.domain_id
left join host h on h.id = v.host_id
left join host_mark m on m.id = v.host_id
left join offering o on o.id = v.offering_id
left join template t on t.id = v.template_id
left join template i on i.id = v.iso_id
left join template x on x.id = v.rescue_id
left join zone z on z.id = coalesce(m.zone_id, (select min(id) from zone))
left join job j on j.object_uuid = v.uuid and j.state in ('pending', 'running');

create or replace view api_offering with (security_invoker = true) as
select o.id as row_id, o.uuid as id, o.name, o.name as displaytext, o.vcpus as cpunumber,
    o.memory_bytes / 1048576 as memory, o.disk_bytes / 1073741824 as rootdisksize, o.created,
    'local' as storagetype, 'Active' as state, false as issystem, false as defaultuse,
    false as iscustomized, false as isvolatile, o.ha as offerha, false as limitcpuuse, nullif(o.host_tags, '') as hosttags
from offering o where o.removed is null;

---------------------------------------------------------------- rights

do $$
declare
    name text;
begin
    foreach name in array array['affinity_group', 'affinity_member'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
    foreach name in array array['pod', 'cluster', 'host_history'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy web on %I to jeoul_web using ((select by_provider()))', name);
    end loop;
end $$;
grant select on pod, cluster, host_history, affinity_group, affinity_member
    to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant usage on all sequences in schema jeoul to jeoul_provision, jeoul_web;
grant insert on host_history to jeoul_provision;
grant update (valid_to) on host_history to jeoul_provision;
grant update on affinity_group to jeoul_provision; -- to hold it while a member is placed
grant delete on affinity_member to jeoul_provision;
grant insert, delete on affinity_group, affinity_member to jeoul_web;
grant insert, update on pod, cluster, zone to jeoul_web;
create policy web_change on host for update to jeoul_web using ((select by_provider()));
grant update (resource_state, tags, dedicated_domain, dedicated_account, ha_only, reserved_bytes, vcpus_room, memory_room,
    cluster_id, name) on host to jeoul_web;
grant update on zone to jeoul_web;
grant select on api_host, api_pod, api_cluster, api_host_history, api_capacity, api_affinity_group to jeoul_web;
