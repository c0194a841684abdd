-- Moving VMs between hosts: room on both, and files of either side that have an owner at any moment.

-- How the process of a guest reaches this host when it moves there: tcp://10.0.0.7, or unix:///folder
-- for hosts of one machine; null: tcp by the host's own name.
alter table host add column migrate_uri text check (migrate_uri ~ '^(tcp://[^/[:space:]]+|unix:///[^[:space:]]+)$');

-- Room on the host that it is on its way to, beside what it holds where it is.
alter table vm
    add column move_host_id bigint references host,
    add column move_vcpus   bigint not null default 0,
    add column move_memory  bigint not null default 0;

-- A file that a move makes, or leaves behind: known before it is made, and until it is gone.  While
-- its job is at work it belongs to that, then to whoever tidies up.
create table disk_left (
    pool_id bigint not null references storage_pool,
    file    text not null,
    job_id  bigint not null,
    created timestamptz not null default now(),
    tried   timestamptz,
    primary key (pool_id, file)
);
comment on table disk_left is 'local: files of moved machines that are to be deleted';
alter table disk_left enable row level security;
create policy roles on disk_left to jeoul_provision using (true) with check (true);
grant select, insert, update, delete on disk_left to jeoul_provision;

create or replace view api_host with (security_invoker = true) as
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
    h.ha_only as hahost, coalesce(da.name, dka.name) as dedicatedaccount, coalesce(dd.path, dkd.path) as dedicateddomain,
    h.migrate_uri as migrateuri
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

-- Where a VM could go: the other hosts, whether each may have it, has room for it, and whether disks
-- have to be copied (those of pools that one host alone has).
create view host_for_vm with (security_invoker = true) as
select v.account_id, v.uuid as vm_uuid, h.uuid as host_uuid,
    h.state = 'Up' and h.resource_state = 'Enabled' and coalesce(k.enabled, true) and not h.ha_only
        and h.simulated = coalesce(now_on.simulated, false)
        and (coalesce(h.dedicated_account, k.dedicated_account) is null and coalesce(h.dedicated_domain, k.dedicated_domain) is null
            or coalesce(h.dedicated_account, k.dedicated_account) = v.account_id
            or coalesce(d.path = x.path or starts_with(d.path, x.path || '/'), false))
        and string_to_array(nullif(coalesce(o.host_tags, ''), ''), ',') <@ string_to_array(h.tags, ',') is not false
        and not exists (select from affinity_member mine
            join affinity_group g on g.account_id = mine.account_id and g.id = mine.group_id
            join affinity_member other on other.account_id = mine.account_id and other.group_id = mine.group_id
                and other.vm_id <> mine.vm_id
            join vm w on w.account_id = other.account_id and w.id = other.vm_id and w.removed is null
            where mine.account_id = v.account_id and mine.vm_id = v.id
                and (g.kind = 'host anti-affinity' and w.held_host_id = h.id
                    or g.kind = 'host affinity' and w.held_host_id <> h.id)) as allowed,
    h.vcpus_room - h.vcpus_used >= v.vcpus and h.memory_room - h.memory_used >= v.memory_bytes as room,
    exists (select from volume w join storage_pool s on s.id = w.pool_id
        where w.account_id = v.account_id and w.vm_id = v.id and w.removed is null and s.host_id is not null) as motion
from vm v
join host now_on on now_on.id = v.host_id
join host h on h.id <> v.host_id and h.removed is null
left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
left join offering o on o.id = v.offering_id
join account a on a.id = v.account_id join domain d on d.id = a.domain_id
where v.removed is null and not v.adopted;

grant select on host_for_vm to jeoul_web;
grant update (migrate_uri) on host to jeoul_web;

create or replace view api_virtual_machine with (security_invoker = true) as
select v.account_id, v.id as row_id, v.uuid as id, v.name, v.name as displayname,
    v.instance_name as instancename, a.name as account, d.name as domain, d.uuid as domainid, d.path as domainpath,
    -- A paused guest holds its host's memory: CloudStack counts it as running.
    case when v.move_host_id is not null and v.removed is null then 'Migrating' when v.state = 'Paused' then 'Running'
        else v.state end as state,
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
