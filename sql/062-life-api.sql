-- The API's read side of disks, images, snapshots, networks, tags and keys.

create view api_disk_offering with (security_invoker = true) as
select o.id as row_id, o.uuid as id, o.name, o.name as displaytext, coalesce(o.size_bytes / 1073741824, 0) as disksize,
    o.size_bytes is null as iscustomized, false as iscustomizediops, 'local' as storagetype, 'thin' as provisioningtype,
    true as displayoffering, 'Active' as state, o.created
from disk_offering o where o.removed is null;

-- What a tenant may know of a pool: where the own disk is.
create view pool_mark as select id, uuid, name, kind, zone_id, host_id from storage_pool;
comment on view pool_mark is 'runs as the owner on purpose: names of pools, nothing of how they are reached';

create function tags_of(account bigint, resource uuid) returns jsonb
language sql stable parallel safe as $$
    select coalesce(jsonb_agg(jsonb_build_object('key', t.key, 'value', t.value, 'resourceid', t.resource_uuid) order by t.key), '[]')
    from jeoul.tag t where t.account_id = account and t.resource_uuid = resource
$$;

create view api_volume with (security_invoker = true) as
select d.account_id, d.id as row_id, d.uuid as id, d.name,
    case d.kind when 'root' then 'ROOT' else 'DATADISK' end as type, d.target as device,
    case when d.target ~ '^vd[a-z]$' then ascii(right(d.target, 1)) - 97 end as deviceid,
    d.size_bytes as size, d.format, case d.state when 'Destroyed' then case when d.expunged is null then 'Destroy' else 'Expunged' end
        when 'Detaching' then 'Attaching' when 'Reverting' then 'RevertSnapshotting' else d.state end as state,
    v.uuid as virtualmachineid, v.name as vmname, v.name as vmdisplayname, v.state as vmstate,
    o.uuid as diskofferingid, o.name as diskofferingname, o.name as diskofferingdisplaytext,
    p.uuid as storageid, p.name as storage, case when p.host_id is null then 'shared' else 'local' end as storagetype, 'thin' as provisioningtype,
    s.uuid as snapshotid, d.path, z.uuid as zoneid, z.name as zonename, false as destroyed, true as displayvolume, false as isextractable,
    case when d.kind = 'adopted' then 'None' else 'KVM' end as hypervisor, false as quiescevm,
    a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath,
    tags_of(d.account_id, d.uuid) as tags, d.created, d.removed, d.expunged
from volume d
join account a on a.id = d.account_id join domain m on m.id = a.domain_id
left join vm v on v.account_id = d.account_id and v.id = d.vm_id
left join disk_offering o on o.id = d.offering_id
left join pool_mark p on p.id = d.pool_id
left join snapshot s on s.account_id = d.account_id and s.id = d.snapshot_id
left join zone z on z.id = coalesce(p.zone_id, (select min(id) from zone));

create view api_snapshot with (security_invoker = true) as
select s.account_id, s.id as row_id, s.uuid as id, s.name, s.volume_uuid as volumeid, d.name as volumename,
    case d.kind when 'root' then 'ROOT' else 'DATADISK' end as volumetype, s.kind as snapshottype, s.kind as intervaltype,
    s.physical_bytes as physicalsize, s.size_bytes as virtualsize, s.state, s.error, true as revertable, 'Primary' as locationtype,
    v.uuid as virtualmachineid, z.uuid as zoneid, z.name as zonename,
    a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath,
    tags_of(s.account_id, s.uuid) as tags, s.created, s.removed
from snapshot s
join account a on a.id = s.account_id join domain m on m.id = a.domain_id
left join volume d on d.account_id = s.account_id and d.id = s.volume_id
left join vm v on v.account_id = d.account_id and v.id = d.vm_id
left join pool_mark p on p.id = s.pool_id
left join zone z on z.id = coalesce(p.zone_id, (select min(id) from zone));

create view api_snapshot_policy with (security_invoker = true) as
select p.account_id, p.id as row_id, p.uuid as id, d.uuid as volumeid, d.name as volumename,
    case p.interval when 'HOURLY' then 0 when 'DAILY' then 1 when 'WEEKLY' then 2 else 3 end as intervaltype,
    p.schedule, p.timezone, p.keep as maxsnaps, p.next_at as nextrun, true as fordisplay, '[]'::jsonb as tags
from snapshot_policy p join volume d on d.account_id = p.account_id and d.id = p.volume_id;

create view api_vm_snapshot with (security_invoker = true) as
select s.account_id, s.id as row_id, s.uuid as id, s.name, s.name as displayname, s.description,
    case s.state when 'Removed' then 'Expunging' else s.state end as state, s.error,
    case when s.memory then 'DiskAndMemory' else 'Disk' end as type, s.current, p.uuid as parent, p.name as "parentName",
    s.size_bytes as virtualsize, v.uuid as virtualmachineid, v.name as virtualmachinename, 'KVM' as hypervisor,
    z.uuid as zoneid, z.name as zonename,
    a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath,
    '[]'::jsonb as tags, s.created, s.removed
from vm_snapshot s
join account a on a.id = s.account_id join domain m on m.id = a.domain_id
left join vm v on v.account_id = s.account_id and v.id = s.vm_id
left join vm_snapshot p on p.account_id = s.account_id and p.id = s.parent_id
left join host_mark h on h.id = v.host_id
left join zone z on z.id = coalesce(h.zone_id, (select min(id) from zone));

-- Templates: ISO images are listed apart, and what is not ready says why.
create or replace view api_template with (security_invoker = true) as
select t.id as row_id, t.account_id, t.uuid as id, t.name, coalesce(nullif(t.display_text, ''), t.name) as displaytext,
    upper(coalesce(t.format, 'raw')) as format, 'KVM' as hypervisor, t.kind, t.state = 'Ready' as isready,
    case t.state when 'Ready' then 'Download Complete' when 'Error' then coalesce(t.error, 'Error') else t.state end as status,
    t.public as ispublic, t.featured or t.public as isfeatured, false as isextractable,
    true as crosszones, t.password_enabled as passwordenabled, 64 as bits, t.os_type as ostypename,
    'USER' as templatetype, t.size_bytes as size, t.sha256 as checksum, a.name as account, d.name as domain, d.uuid as domainid,
    z.uuid as zoneid, z.name as zonename, tags_of(t.account_id, t.uuid) as tags, t.created,
    t.physical_bytes as physicalsize, t.url, t.bootable, t.source_uuid as sourcetemplateid, t.removed
from template t
left join account a on a.id = t.account_id
left join domain d on d.id = a.domain_id
left join zone z on z.id = (select min(id) from zone)
where t.removed is null and t.kind <> 'iso'
    and (t.public or t.account_id between (select account_low()) and (select account_high()));

create view api_iso with (security_invoker = true) as
select t.id as row_id, t.account_id, t.uuid as id, t.name, coalesce(nullif(t.display_text, ''), t.name) as displaytext,
    'ISO' as format, 'KVM' as hypervisor, t.state = 'Ready' as isready,
    case t.state when 'Ready' then 'Successfully Installed' when 'Error' then coalesce(t.error, 'Error') else t.state end as status,
    t.public as ispublic, t.featured or t.public as isfeatured, false as isextractable, t.bootable,
    true as crosszones, false as passwordenabled, 64 as bits, t.os_type as ostypename,
    t.size_bytes as size, t.physical_bytes as physicalsize, t.sha256 as checksum, a.name as account, d.name as domain,
    d.uuid as domainid, z.uuid as zoneid, z.name as zonename, tags_of(t.account_id, t.uuid) as tags, t.created
from template t
left join account a on a.id = t.account_id
left join domain d on d.id = a.domain_id
left join zone z on z.id = (select min(id) from zone)
where t.removed is null and t.kind = 'iso'
    and (t.public or t.account_id between (select account_low()) and (select account_high()));

create view api_network with (security_invoker = true) as
select w.account_id, w.id as row_id, w.uuid as id, w.name, w.name as displaytext,
    case w.mode when 'nat' then 'Isolated' when 'isolated' then 'Isolated' when 'bridge' then 'Shared' else 'L2' end as type,
    w.mode, 'Guest' as traffictype, w.state, host(w.cidr4) || '/' || masklen(w.cidr4) as cidr, host(w.gateway4) as gateway,
    host(netmask(w.cidr4)) as netmask, host(w.cidr6) || '/' || masklen(w.cidr6) as ip6cidr, host(w.gateway6) as ip6gateway,
    w.vlan::text as vlan, w.domain_name as networkdomain, w.persistent as ispersistent, false as restartrequired,
    true as canusefordeploy, false as specifyipranges, false as issystem, w.shared as isdefault,
    case when w.shared then 'Domain' else 'Account' end as acltype,
    '[]'::jsonb as service,
    z.uuid as zoneid, z.name as zonename, a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath,
    tags_of(w.account_id, w.uuid) as tags, w.error, w.created, w.removed
from network w
left join account a on a.id = w.account_id left join domain m on m.id = a.domain_id
left join zone z on z.id = w.zone_id;

create view api_nic with (security_invoker = true) as
select n.account_id, n.id as row_id, n.uuid as id, v.uuid as virtualmachineid, w.uuid as networkid,
    coalesce(w.name, n.network) as networkname, n.mac as macaddress, n.target as devicename, n.is_default as isdefault,
    case w.mode when 'bridge' then 'Shared' when 'vlan' then 'L2' else 'Isolated' end as type, 'Guest' as traffictype,
    host(w.gateway4) as gateway, host(netmask(w.cidr4)) as netmask, '[]'::jsonb as secondaryip, n.created
from nic n
join vm v on v.account_id = n.account_id and v.id = n.vm_id
left join network w on w.id = n.network_id
where n.removed is null;

create view api_tag with (security_invoker = true) as
select t.account_id, t.resource_uuid::text || t.key as row_id, t.key, t.value, t.resource_uuid as resourceid,
    case t.resource_kind when 'vm' then 'UserVm' when 'volume' then 'Volume' when 'snapshot' then 'Snapshot'
        when 'template' then 'Template' when 'network' then 'Network' else 'Host' end as resourcetype,
    a.name as account, m.name as domain, m.uuid as domainid, m.path as domainpath
from tag t join account a on a.id = t.account_id join domain m on m.id = a.domain_id;

create view api_key_pair with (security_invoker = true) as
select k.account_id, k.id as row_id, k.uuid as id, k.name, k.fingerprint, a.name as account, m.name as domain,
    m.uuid as domainid
from key_pair k join account a on a.id = k.account_id join domain m on m.id = a.domain_id;

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
    '[]'::jsonb as affinitygroup, '[]'::jsonb as securitygroup, tags_of(v.account_id, v.uuid) as tags,
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

grant select on pool_mark, api_disk_offering, api_volume, api_snapshot, api_snapshot_policy, api_vm_snapshot, api_iso,
    api_network, api_nic, api_tag, api_key_pair to jeoul_web;
