-- Statements of jeoul-provision.

-- name: host_list
select id, uuid, account_id, name, uri, simulated, state, coalesce(domain_type, 'qemu') as domain_type
from host where removed is null order by id
-- name: host_by_id
select uuid, uri, name, simulated, coalesce(domain_type, 'qemu') as domain_type, state, migrate_uri from host
where id = $1::bigint and removed is null
-- name: host_by_uuid
select id from host where uuid = $1::uuid and removed is null
-- name: host_count
select count(*) from host where removed is null
-- name: host_by_uri
select uuid from host where uri = $1 and removed is null
-- name: host_insert
insert into host (uuid, account_id, zone_id, cluster_id, name, uri, simulated, state, hypervisor, domain_type,
    libvirt_version, hv_version, sockets, cores, threads, memory_bytes, capabilities, numa_cells, cpu_model, tags)
select $1::uuid, a.id, z.id, k.id, $2, $3,
    $4::boolean, 'Up', $5, $6, $7, $8, $9::integer, $10::integer, $11::integer, $12::bigint, $13, $15::integer, $16,
    coalesce($18, '')
from (select id from account where kind = 'provider' order by id limit 1) a,
     (select k.id, p.zone_id from cluster k join pod p on p.id = k.pod_id join zone z on z.id = p.zone_id
      where k.removed is null and ($14::uuid is null or z.uuid = $14::uuid) and ($17::uuid is null or k.uuid = $17::uuid)
      order by k.id limit 1) k join zone z on z.id = k.zone_id
returning id, account_id
-- name: host_state
update host set state = $2, error = $3 where id = $1::bigint and (state, coalesce(error, '')) <> ($2, coalesce($3, ''))
-- name: host_facts
update host set hypervisor = $2, libvirt_version = $3, hv_version = $4, sockets = $5::integer, cores = $6::integer,
    threads = $7::integer, memory_bytes = $8::bigint, capabilities = $9, numa_cells = $10::integer, cpu_model = $11
where id = $1::bigint
-- name: host_topology
select sockets, cores, account_id, uuid, name from host where id = $1::bigint
-- name: host_hold
-- Nothing comes to it meanwhile.
select 1 from host where id = $1::bigint for update
-- name: host_remove
update host h set state = 'Removed', removed = $2::timestamptz where h.id = $1::bigint and h.removed is null
    and not exists (select from vm v where v.host_id = h.id and v.expunged is null and not v.adopted)
    and not exists (select from vm v where v.host_id = h.id and v.removed is null)
    and not exists (select from storage_pool p join volume d on d.pool_id = p.id and d.expunged is null where p.host_id = h.id)
    and not exists (select from storage_pool p join snapshot s on s.pool_id = p.id and s.removed is null where p.host_id = h.id)

-- name: pools_of_host_remove
update storage_pool set removed = $2::timestamptz, state = 'Removed' where host_id = $1::bigint and removed is null

-- name: lifetime_open
-- One of a resource and kind at most is open: a second try changes nothing.
insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, vm_id, host_id,
    offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, open_reason)
values ($1::bigint, $2::bigint, $3, $4::timestamptz, $5::uuid, $6, $7::bigint, $8::bigint, $9::bigint, $10::bigint,
    $11::integer, $12::bigint, $13::bigint, $14::integer, $15::integer, $16::boolean, $17)
on conflict do nothing
-- name: lifetime_close
update lifetime set valid_to = greatest($4::timestamptz, valid_from + interval '1 microsecond'), close_reason = $5
where account_id = $1::bigint and resource_id = $2::bigint and kind = $3 and valid_to is null

-- name: vm_of_host
select v.account_id, v.id, v.uuid, v.name, v.state, v.desired, v.adopted, v.vcpus, v.memory_bytes, v.epoch,
    exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running')) as busy,
    v.offering_id, v.template_id, v.held_host_id is not null as holds
from vm v where v.host_id = $1::bigint and v.removed is null order by v.id
-- name: vm_by_uuid
-- Also one in the bin (removed, not expunged): the job decides.
select v.account_id, v.id, v.uuid, v.name, v.state, v.desired, v.adopted, v.vcpus, v.memory_bytes, v.epoch,
    false as busy, v.offering_id, v.template_id, v.held_host_id is not null as holds, v.host_id, v.instance_name, v.removed, v.created,
    v.next_vcpus, v.next_memory_bytes, v.user_data, v.password_hash, v.public_keys, v.seed, v.ha,
    a.uuid as account_uuid, o.uuid as offering_uuid, coalesce(o.disk_bytes, 0) as disk_bytes,
    t.kind, t.format, t.path, t.kernel, t.initrd, coalesce(v.cmdline, t.cmdline) as cmdline, t.size_bytes,
    t.uuid as template_uuid, t.os_type, v.iso_id, v.rescue_id, coalesce(o.host_tags, '') as host_tags, v.move_host_id
from vm v join account a on a.id = v.account_id left join offering o on o.id = v.offering_id
left join template t on t.id = v.template_id
where v.uuid = $1::uuid and v.expunged is null
-- name: vm_disks
-- As they belong into its definition, in the order of their places.
select d.id, d.uuid, d.name, d.target, d.kind, d.pool, d.path, d.format, d.size_bytes, d.state,
    p.kind as pool_kind, p.source_host, p.source_port, p.source_name, p.source_user, p.secret_uuid, p.secret is not null as locked
from volume d left join storage_pool p on p.id = d.pool_id
where d.account_id = $1::bigint and d.vm_id = $2::bigint and d.expunged is null and d.target is not null
    and d.path is not null and (d.removed is null or $3::boolean)
order by length(d.target), d.target
-- name: vm_nics
select n.id, n.uuid, n.mac, n.network, n.target, n.network_id, w.mode, w.bridge, w.vlan
from nic n left join network w on w.id = n.network_id
where n.account_id = $1::bigint and n.vm_id = $2::bigint and n.removed is null order by n.id
-- name: vm_known
-- In the bin counts too, and so does what has just gone: libvirt may still list it.
select exists (select from vm where uuid = $1::uuid
    and (removed is null or expunged is null and not adopted or removed > now() - interval '1 minute'))
-- name: vm_elsewhere
-- As vm_of_host, of one that is written down on another host; that host's name, and when it left
-- there if that was just now.
select v.account_id, v.id, v.uuid, v.name, v.state, v.desired, v.adopted, v.vcpus, v.memory_bytes, v.epoch,
    exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running')) as busy,
    v.offering_id, v.template_id, v.held_host_id is not null as holds, h.name,
    (select case when l.valid_to > now() - interval '1 minute' then l.valid_to end from lifetime l
        where l.account_id = v.account_id and l.resource_id = v.id and l.kind = 'running'
        order by l.valid_from desc limit 1)
from vm v join host h on h.id = v.host_id
where v.uuid = $1::uuid and v.host_id <> $2::bigint and v.removed is null
-- name: vm_adopt
-- Unless its host is taken out just now (host_hold).
with h as (select id from host where id = $4::bigint and removed is null for share)
insert into vm (account_id, uuid, name, instance_name, host_id, adopted, vcpus, memory_bytes, desired, state,
    state_at, epoch, created)
select $1::bigint, $2::uuid, $3, $3, h.id, true, $5::integer, $6::bigint, 'AsIs', $7, $8::timestamptz, $9,
    $8::timestamptz from h
returning id
-- name: vm_state
update vm set state = $3, state_at = $4::timestamptz, epoch = coalesce($5, epoch), error = $6
where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: vm_size
update vm set vcpus = $3::integer, memory_bytes = $4::bigint where account_id = $1::bigint and id = $2::bigint
-- name: vm_size_taken
update vm set next_vcpus = null, next_memory_bytes = null where account_id = $1::bigint and id = $2::bigint
-- name: vm_size_next
update vm set next_vcpus = $3::integer, next_memory_bytes = $4::bigint, offering_id = $5::bigint
where account_id = $1::bigint and id = $2::bigint
-- name: vm_iso
update vm set iso_id = $3::bigint where account_id = $1::bigint and id = $2::bigint
-- name: vm_rescue
update vm set rescue_id = $3::bigint where account_id = $1::bigint and id = $2::bigint
-- name: offering_by_uuid
select id, vcpus, memory_bytes, disk_bytes from offering where uuid = $1::uuid and removed is null
-- name: iso_by_uuid
select id from template where uuid = $1::uuid and kind = 'iso' and removed is null
-- name: vm_place
update vm set host_id = $3::bigint where account_id = $1::bigint and id = $2::bigint
-- name: vm_desire
update vm set desired = $3 where account_id = $1::bigint and id = $2::bigint
-- name: vm_remove
update vm set state = $3, state_at = $4::timestamptz, removed = $4::timestamptz,
    expunged = case when $5::boolean then $4::timestamptz end
where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: vm_recover
update vm set state = 'Stopped', desired = 'Stopped', state_at = $3::timestamptz, removed = null
where account_id = $1::bigint and id = $2::bigint and removed is not null and expunged is null
-- name: vm_expunged
update vm set expunged = now(), removed = coalesce(removed, now()) where account_id = $1::bigint and id = $2::bigint
-- name: vm_bin_due
-- What lies in the bin for longer than its time, and what could not be made; nobody works on it.
select v.account_id, v.uuid from vm v
where v.removed is not null and v.expunged is null
    and (v.state = 'Error' or v.removed < now() - $1::bigint * interval '1 microsecond')
    and not exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running'))
    and not exists (select from job j where j.object_uuid = v.uuid and j.command = 'expungeVirtualMachine'
        and j.finished > now() - interval '5 minutes')
order by v.removed limit 50
-- name: job_own
-- A job that nobody asked for: the house keeps itself tidy.
insert into job (account_id, command, object_kind, object_uuid, request)
values ($1::bigint, $2, $3, $4::uuid, $5::jsonb) on conflict do nothing
-- name: nic_recover
update nic set removed = null where account_id = $1::bigint and vm_id = $2::bigint and removed = $3::timestamptz
-- name: volume_recover
update volume set state = 'Ready', removed = null
where account_id = $1::bigint and vm_id = $2::bigint and removed = $3::timestamptz and expunged is null
returning id, uuid, name, size_bytes
-- name: vm_last_proof
-- The last instant at which the collector or we saw it run.
select greatest(max(through), max(started)) from (
    select through, null::timestamptz as started from usage_window where account_id = $1::bigint and resource_id = $2::bigint
    union all
    select null, valid_from from lifetime where account_id = $1::bigint and resource_id = $2::bigint and kind = 'running' and valid_to is null) proofs
-- name: vm_sampled
-- Every counter of the VM has been read since.
select coalesce(bool_and(exists (select from usage_window w where w.account_id = $1::bigint
    and w.resource_id = r.id and w.window_from > $3::timestamptz - interval '1 day' and w.through >= $3::timestamptz)), true)
from (select $2::bigint as id
    union all select id from nic where account_id = $1::bigint and vm_id = $2::bigint and removed is null
    union all select id from volume where account_id = $1::bigint and vm_id = $2::bigint and removed is null
        and state = 'Ready' and target is not null) r
-- name: account_by_uuid
select id from account where uuid = $1::uuid and removed is null
-- name: account_unassigned
select id from account where name = 'unassigned' order by id limit 1

-- name: volume_insert
insert into volume (account_id, uuid, vm_id, name, target, kind, pool, pool_id, path, format, size_bytes, state, created,
    file)
values ($1::bigint, $2::uuid, $3::bigint, $4, $5, $6, $7, $12::bigint, $8, $9, $10::bigint, $13, $11::timestamptz, $14)
returning id
-- name: volume_unsized
-- Adopted while its size could not be asked: not billed before it is known.
select v.account_id, v.id, v.uuid, v.name, d.id, d.uuid, d.name, d.target, d.created
from volume d join vm v on v.account_id = d.account_id and v.id = d.vm_id and v.removed is null
where v.host_id = $1::bigint and d.removed is null and d.kind = 'adopted' and d.size_bytes = 0
-- name: volume_size
update volume set size_bytes = $3::bigint, wanted_bytes = null where account_id = $1::bigint and id = $2::bigint
-- name: volume_unwant
update volume set wanted_bytes = null where account_id = $1::bigint and id = $2::bigint
-- name: limits_keep
select limits_keep($1::bigint, $2::text[])
-- name: volume_of_vm
select id, uuid, name, pool, size_bytes, kind, path, state, file from volume
where account_id = $1::bigint and vm_id = $2::bigint and removed is null order by id
-- name: volume_in_bin
-- Of a VM: what its end leaves on disk.
select id, uuid, name, pool, path, file from volume
where account_id = $1::bigint and vm_id = $2::bigint and expunged is null order by id
-- name: volume_by_uuid
select d.account_id, d.id, d.uuid, d.name, d.vm_id, d.target, d.kind, d.pool, d.pool_id, d.path, d.format, d.size_bytes,
    d.state, d.removed, d.file, d.snapshot_id, v.uuid as vm_uuid, p.host_id, p.kind as pool_kind, d.backing,
    s.path as snapshot_path, s.pool_id as snapshot_pool_id, s.uuid as snapshot_uuid
from volume d left join vm v on v.account_id = d.account_id and v.id = d.vm_id
left join storage_pool p on p.id = d.pool_id
left join snapshot s on s.account_id = d.account_id and s.id = d.snapshot_id
where d.uuid = $1::uuid and d.expunged is null
-- name: volume_placed
-- Where it is on disk; known before it is made, so that a kill leaves nothing unknown behind.
update volume set pool = $3, pool_id = $4::bigint, file = $5, format = $6, path = $7, backing = $8
where account_id = $1::bigint and id = $2::bigint
-- name: volume_places
select target from volume where account_id = $1::bigint and vm_id = $2::bigint and removed is null and target is not null
-- name: volume_state
update volume set state = $3 where account_id = $1::bigint and id = $2::bigint and expunged is null
-- name: volume_take
-- Taken by a VM, if it is free; a second try of the same job changes nothing.
update volume set vm_id = $3::bigint, target = $4, state = 'Attaching'
where account_id = $1::bigint and id = $2::bigint and removed is null
    and (vm_id is null and state in ('Allocated', 'Ready') or vm_id = $3::bigint and state = 'Attaching')
-- name: volume_free
update volume set vm_id = null, target = null, state = case when path is null then 'Allocated' else 'Ready' end
where account_id = $1::bigint and id = $2::bigint
-- name: volume_remove
update volume set state = 'Destroyed', removed = $3::timestamptz
where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: volume_expunged
update volume set state = 'Destroyed', removed = coalesce(removed, now()), expunged = now(), target = null
where account_id = $1::bigint and id = $2::bigint
-- name: template_by_id
select id, uuid, name, kind, format, path, url, state, size_bytes, account_id, physical_bytes
from template where id = $1::bigint
-- name: copy_find
select state, path from template_copy where template_id = $1::bigint and pool_id = $2::bigint
-- name: copy_claim
-- One job makes a copy at a time; a job that ended leaves it to the next.
insert into template_copy (template_id, pool_id, job_id) values ($1::bigint, $2::bigint, $3::bigint)
on conflict (template_id, pool_id) do update set job_id = excluded.job_id
where template_copy.state = 'Creating' and (template_copy.job_id = excluded.job_id or not exists (
    select from job j where j.id = template_copy.job_id and j.state in ('pending', 'running')))
returning 1
-- name: copy_ready
update template_copy set state = 'Ready', path = $3 where template_id = $1::bigint and pool_id = $2::bigint
-- name: copy_source
-- A finished copy elsewhere that one can be made of.
select c.path, p.libvirt_name, coalesce(p.host_id, (select min(id) from host where zone_id = p.zone_id and state = 'Up'))
from template_copy c join storage_pool p on p.id = c.pool_id
where c.template_id = $1::bigint and c.state = 'Ready' and c.pool_id <> $2::bigint order by c.pool_id limit 1
-- name: pool_of_host
-- Of that name; the host's own comes first.
select id, libvirt_name, kind, target, source_host, source_port, source_name, source_user, secret, secret_uuid, host_id
from storage_pool where removed is null and state <> 'Maintenance' and libvirt_name = $2
    and (host_id = $1::bigint or host_id is null) order by host_id nulls last limit 1
-- name: pool_by_id
select p.id, p.libvirt_name, p.kind, p.target, p.source_host, p.source_port, p.source_name, p.source_user, p.secret,
    p.secret_uuid, coalesce(p.host_id, (select min(h.id) from host h where h.zone_id = p.zone_id and h.state = 'Up')) as host_id
from storage_pool p where p.id = $1::bigint
-- name: pool_own
-- The folder that each host has from the beginning.
insert into storage_pool (zone_id, host_id, name, kind, libvirt_name)
select zone_id, id, name || ' local', 'dir', 'jeoul' from host where id = $1::bigint
on conflict do nothing
-- name: pool_space
update storage_pool set capacity_bytes = $2::bigint, used_bytes = $3::bigint, state = case when state in
    ('Connecting', 'Unreachable') then 'Up' else state end, error = null where id = $1::bigint
-- name: nic_insert
insert into nic (account_id, uuid, vm_id, mac, network, created, target, network_id, is_default)
values ($1::bigint, $2::uuid, $3::bigint, $4, $5, $6::timestamptz, $7,
    coalesce($8::bigint, (select id from network where libvirt_name = $5 and removed is null)),
    not exists (select from nic where account_id = $1::bigint and vm_id = $3::bigint and removed is null))
returning id
-- name: nic_by_uuid
select id, mac, network, target, is_default from nic
where account_id = $1::bigint and vm_id = $2::bigint and uuid = $3::uuid and removed is null
-- name: nic_remove_one
update nic set removed = $3::timestamptz where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: network_by_uuid
select account_id, id, uuid, name, mode, libvirt_name, bridge, vlan, cidr4, gateway4, cidr6, gateway6, domain_name,
    shared, state
from network where uuid = $1::uuid and removed is null
-- name: snapshot_by_uuid
select s.account_id, s.id, s.uuid, s.name, s.volume_id, s.volume_uuid, s.pool_id, s.path, s.size_bytes, s.state,
    s.removed, p.libvirt_name
from snapshot s left join storage_pool p on p.id = s.pool_id where s.uuid = $1::uuid
-- name: snapshot_made
update snapshot set state = 'BackedUp', pool_id = $3::bigint, path = $4, physical_bytes = $5::bigint,
    size_bytes = $6::bigint
where account_id = $1::bigint and id = $2::bigint
-- name: snapshot_state
update snapshot set state = $3, error = $4, removed = case when $5::boolean then now() end
where account_id = $1::bigint and id = $2::bigint
-- name: vm_snapshot_by_uuid
select account_id, id, uuid, name, vm_id, memory, size_bytes, state, removed from vm_snapshot where uuid = $1::uuid
-- name: vm_snapshot_made
-- The newest is the one that the VM goes on from.
with before as (
    select id from vm_snapshot where account_id = $1::bigint and vm_id = $3::bigint and current and id <> $2::bigint
), turned as (
    update vm_snapshot set current = false where account_id = $1::bigint and vm_id = $3::bigint and current
        and id <> $2::bigint)
update vm_snapshot set state = 'Ready', current = true, size_bytes = $4::bigint,
    parent_id = coalesce(parent_id, (select id from before limit 1))
where account_id = $1::bigint and id = $2::bigint
-- name: vm_snapshot_current
update vm_snapshot set current = id = $3::bigint, state = case when id = $3::bigint then 'Ready' else state end
where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: vm_snapshot_state
update vm_snapshot set state = $3, error = $4, removed = case when $5::boolean then now() end,
    current = current and not $5::boolean
where account_id = $1::bigint and id = $2::bigint
-- name: vm_snapshot_sizes
select coalesce(sum(size_bytes), 0) from volume where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: vm_snapshots_count
select count(*) from vm_snapshot where account_id = $1::bigint and vm_id = $2::bigint and removed is null
    and state <> 'Error'
-- name: template_by_uuid
select id, uuid, name, kind, format, path, url, state, size_bytes, account_id, resource_id, sha256, removed, source_uuid
from template where uuid = $1::uuid
-- name: template_state
update template set state = $2, error = $3 where id = $1::bigint
-- name: template_made
update template set state = 'Ready', error = null, format = $2, size_bytes = $3::bigint, physical_bytes = $4::bigint,
    sha256 = coalesce($5, sha256)
where id = $1::bigint
-- name: template_removed
update template set state = 'Removed', removed = coalesce(removed, now()) where id = $1::bigint
-- name: copy_put
insert into template_copy (template_id, pool_id, path, state) values ($1::bigint, $2::bigint, $3, 'Ready')
on conflict (template_id, pool_id) do update set path = excluded.path, state = 'Ready'
-- name: copies_idle
-- Copies of an image that no disk stands on.
select c.pool_id, p.libvirt_name, coalesce(p.host_id, (select min(id) from host where zone_id = p.zone_id and state = 'Up'))
from template_copy c join storage_pool p on p.id = c.pool_id
where c.template_id = $1::bigint
    and not exists (select from volume v where v.backing = c.path and v.expunged is null)
    and not exists (select from vm v where c.template_id in (v.iso_id, v.rescue_id) and v.expunged is null)
-- name: copy_delete
delete from template_copy where template_id = $1::bigint and pool_id = $2::bigint
-- name: images_left
-- Removed images whose files could not go yet and can now.
select t.uuid, t.account_id from template t
where t.removed is not null and exists (select from template_copy c where c.template_id = t.id
        and not exists (select from volume v where v.backing = c.path and v.expunged is null)
        and not exists (select from vm v where c.template_id in (v.iso_id, v.rescue_id) and v.expunged is null))
    and not exists (select from job j where j.object_uuid = t.uuid and j.state in ('pending', 'running'))
    and not exists (select from job j where j.object_uuid = t.uuid and j.state = 'failed'
        and j.finished > now() - interval '5 minutes')
limit 20
-- name: nic_of_vm
select id, mac, network from nic where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: nic_remove
update nic set removed = $3::timestamptz where account_id = $1::bigint and vm_id = $2::bigint and removed is null

-- name: assign_vm
-- A VM that changes its owner: its rows move, its lifetimes end there and begin here.
update vm set account_id = $3::bigint where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: assign_volumes
update volume set account_id = $3::bigint where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: assign_nics
update nic set account_id = $3::bigint where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: assign_reopen
with closed as (
    update lifetime set valid_to = greatest($4::timestamptz, valid_from + interval '1 microsecond'), close_reason = 'assigned'
    where account_id = $1::bigint and valid_to is null and (resource_id = $2::bigint or vm_id = $2::bigint)
    returning *)
insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, vm_id, host_id,
    offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, open_reason)
select $3::bigint, resource_id, kind, valid_to, resource_uuid, resource_name, vm_id, host_id,
    offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, 'assigned' from closed

-- Candidates for a VM (account $1, VM $2; at most $3; dice $4), in the order of a strategy.  The
-- first four walk an index and stop early.
-- name: place_most_free
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled' and $4::bigint is not null
order by h.memory_free desc, h.id limit $3::bigint
-- name: place_least_free
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled' and $4::bigint is not null
    and h.memory_free >= (select memory_bytes from vm where account_id = $1::bigint and id = $2::bigint)
order by h.memory_free, h.id limit $3::bigint
-- name: place_by_id
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled' and $4::bigint is not null
order by h.id limit $3::bigint
-- name: place_from
-- From a random place in the order of ids on, and from its beginning again.
with range as (
    select min(id) as lo, max(id) as hi from host where removed is null
), begins as (select lo + $4::bigint % (hi - lo + 1) as at from range)
(
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled' and h.id >= (select at from begins)
order by h.id limit $3::bigint)
union all (
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled' and h.id < (select at from begins)
order by h.id limit $3::bigint)
limit $3::bigint
-- name: place_all
select h.id, h.name, h.zone_id, coalesce(k.pod_id, 0), coalesce(h.cluster_id, 0), h.state = 'Up',
    h.resource_state = 'Enabled' and coalesce(k.enabled, true), h.simulated, h.ha_only, h.tags,
    coalesce(h.dedicated_account, k.dedicated_account, 0), coalesce(h.dedicated_domain, k.dedicated_domain, 0),
    coalesce(coalesce(h.dedicated_account, k.dedicated_account) = $1::bigint
        or d.path = x.path or starts_with(d.path, x.path || '/'), false),
    h.memory_room, h.memory_used, h.vcpus_room, h.vcpus_used,
    (select count(*) from vm v where v.host_id = h.id and v.account_id = $1::bigint and v.removed is null),
    exists (select from vm v where v.account_id = $1::bigint and v.id = $2::bigint and v.held_host_id = h.id)
from host h left join cluster k on k.id = h.cluster_id
left join domain x on x.id = coalesce(h.dedicated_domain, k.dedicated_domain)
join account a on a.id = $1::bigint join domain d on d.id = a.domain_id
where h.removed is null and $4::bigint is not null order by h.id limit $3::bigint
-- name: place_only_simulated
select not exists (select from host where removed is null and not simulated)
-- name: place_affinity
-- Where the other members of the groups of a VM are, or are on their way to.
select g.kind, v.host_id
from affinity_member mine
join affinity_group g on g.account_id = mine.account_id and g.id = mine.group_id
join affinity_member other on other.account_id = mine.account_id and other.group_id = mine.group_id and other.vm_id <> mine.vm_id
join vm w on w.account_id = other.account_id and w.id = other.vm_id and w.removed is null
cross join lateral (values (case when w.held_host_id is not null then w.host_id end), (w.move_host_id)) v(host_id)
where mine.account_id = $1::bigint and mine.vm_id = $2::bigint and v.host_id is not null
-- name: place_groups_hold
-- In one order for all, so that two placements wait for each other instead of locking each other out.
select g.id from affinity_group g
where g.account_id = $1::bigint and g.id in (select group_id from affinity_member
    where account_id = $1::bigint and vm_id = $2::bigint)
order by g.id for update
-- name: vm_hold
-- The VM holds room on that host from now on, and none on another: if there is room, or by force
-- (it runs there already).  No row: there is none.
with old as (
    select held_host_id as host, held_vcpus as vcpus, held_memory as memory
    from vm where account_id = $1::bigint and id = $2::bigint for update
), taken as (
    update host h set
        vcpus_used = h.vcpus_used + $4::bigint - case when o.host = h.id then o.vcpus else 0 end,
        memory_used = h.memory_used + $5::bigint - case when o.host = h.id then o.memory else 0 end
    from old o where h.id = $3::bigint and ($6::boolean or (
        h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled'
        and h.vcpus_used + $4::bigint - case when o.host = h.id then o.vcpus else 0 end <= h.vcpus_room
        and h.memory_used + $5::bigint - case when o.host = h.id then o.memory else 0 end <= h.memory_room))
    returning h.id
), freed as (
    update host h set vcpus_used = h.vcpus_used - o.vcpus, memory_used = h.memory_used - o.memory
    from old o, taken t where h.id = o.host and o.host <> t.id
)
update vm v set held_host_id = t.id, held_vcpus = $4::bigint, held_memory = $5::bigint
from taken t where v.account_id = $1::bigint and v.id = $2::bigint returning t.id
-- name: vm_release
with old as (
    select held_host_id as host, held_vcpus as vcpus, held_memory as memory
    from vm where account_id = $1::bigint and id = $2::bigint and held_host_id is not null for update
), freed as (
    update host h set vcpus_used = h.vcpus_used - o.vcpus, memory_used = h.memory_used - o.memory
    from old o where h.id = o.host
)
update vm v set held_host_id = null, held_vcpus = 0, held_memory = 0
from old o where v.account_id = $1::bigint and v.id = $2::bigint
-- name: vm_move_hold
-- Room on the host that it is on its way to, beside what it holds where it is.  No row: there is none.
with taken as (
    update host h set vcpus_used = h.vcpus_used + $4::bigint, memory_used = h.memory_used + $5::bigint
    where h.id = $3::bigint and h.removed is null and h.state = 'Up' and h.resource_state = 'Enabled'
        and h.vcpus_used + $4::bigint <= h.vcpus_room and h.memory_used + $5::bigint <= h.memory_room
        and exists (select from vm where account_id = $1::bigint and id = $2::bigint and move_host_id is null)
    returning h.id
)
update vm v set move_host_id = t.id, move_vcpus = $4::bigint, move_memory = $5::bigint
from taken t where v.account_id = $1::bigint and v.id = $2::bigint returning t.id
-- name: vm_move_release
with old as (
    select move_host_id as host, move_vcpus as vcpus, move_memory as memory
    from vm where account_id = $1::bigint and id = $2::bigint and move_host_id is not null for update
), freed as (
    update host h set vcpus_used = h.vcpus_used - o.vcpus, memory_used = h.memory_used - o.memory
    from old o where h.id = o.host
)
update vm v set move_host_id = null, move_vcpus = 0, move_memory = 0
from old o where v.account_id = $1::bigint and v.id = $2::bigint
-- name: volumes_to_move
-- Its disks, with their pools and what hangs on them.
select d.id, d.uuid, d.name, d.target, d.size_bytes, d.pool_id, d.pool, d.file, d.format, d.path, d.backing, p.kind as pool_kind,
    p.host_id as pool_host,
    (select count(*) from snapshot s where s.account_id = d.account_id and s.volume_id = d.id and s.removed is null
        and s.pool_id = d.pool_id and s.state <> 'Error') as snapshots
from volume d left join storage_pool p on p.id = d.pool_id
where d.account_id = $1::bigint and d.vm_id = $2::bigint and d.removed is null order by length(d.target), d.target
-- name: disk_left_put
insert into disk_left (pool_id, file, job_id) values ($1::bigint, $2, $3::bigint)
on conflict (pool_id, file) do update set job_id = excluded.job_id, tried = null
-- name: disk_left_gone
delete from disk_left where pool_id = $1::bigint and file = $2
-- name: disk_left_of_job
select l.pool_id, l.file, p.libvirt_name, p.host_id from disk_left l join storage_pool p on p.id = l.pool_id
where l.job_id = $1::bigint order by l.file
-- name: disk_left_of_host
-- Nobody works with these any more.
update disk_left l set tried = now() from storage_pool p, host h
where p.id = l.pool_id and h.id = p.host_id and h.uuid = $1::uuid
    and not exists (select from job j where j.id = l.job_id and j.state in ('pending', 'running'))
returning l.pool_id, l.file, p.libvirt_name, p.host_id
-- name: disk_left_hosts
select distinct h.account_id, h.uuid from disk_left l join storage_pool p on p.id = l.pool_id join host h on h.id = p.host_id
where h.removed is null and h.state = 'Up' and (l.tried is null or l.tried < now() - interval '5 minutes')
    and not exists (select from job j where j.id = l.job_id and j.state in ('pending', 'running'))
    and not exists (select from job j where j.object_uuid = h.uuid and j.state in ('pending', 'running'))
limit 20
-- name: vm_unsampled
-- What its counters ($3 received, $4 sent, $5 read, $6 written) went on after the last sample of this run, and
-- when that was.
select greatest(0, $3::bigint - sum(case when w.resource_kind = 'nic' then w.raw_net_rx end)),
    greatest(0, $4::bigint - sum(case when w.resource_kind = 'nic' then w.raw_net_tx end)),
    greatest(0, $5::bigint - sum(case when w.resource_kind = 'volume' then w.raw_disk_read end)),
    greatest(0, $6::bigint - sum(case when w.resource_kind = 'volume' then w.raw_disk_write end)), min(w.through)
from (select id from nic where account_id = $1::bigint and vm_id = $2::bigint and removed is null
    union all select id from volume where account_id = $1::bigint and vm_id = $2::bigint and removed is null) r
cross join lateral (select * from usage_window where account_id = $1::bigint and resource_id = r.id
    and window_from > now() - interval '1 day' order by window_from desc limit 1) w
-- name: host_resource_state
update host set resource_state = $2 where id = $1::bigint and removed is null
-- name: host_held
-- Who holds room there, and whether a move may be asked for: ours, nobody works on it, and none failed lately.
select v.account_id, v.uuid, not v.adopted and v.state in ('Running', 'Paused')
    and not exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running'))
    and not exists (select from job j where j.object_uuid = v.uuid and j.command = 'migrateVirtualMachine'
        and j.state = 'failed' and j.finished > now() - interval '10 minutes')
from vm v where v.held_host_id = $1::bigint order by v.id
-- name: host_moving
-- How many of them somebody works on.
select count(*) from vm v where v.held_host_id = $1::bigint
    and exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running'))
-- name: host_stays
select count(*), left(string_agg(v.name || coalesce(' (' || (select j.error_text from job j where j.object_uuid = v.uuid
    and j.command = 'migrateVirtualMachine' and j.state = 'failed' order by j.id desc limit 1) || ')',
    case when v.adopted then ' (adopted)' else '' end), ', ' order by v.id), 700)
from vm v where v.held_host_id = $1::bigint
-- name: host_room
-- What may be promised, after its facts or its cluster's factors changed.
update host h set vcpus_room = floor(coalesce(h.threads, 0) * k.cpu_overcommit),
    memory_room = greatest(0, floor(coalesce(h.memory_bytes, 0) * k.memory_overcommit) - h.reserved_bytes)
from cluster k where k.id = h.cluster_id and h.id = $1::bigint
-- name: host_history_turn
-- The open row ends and another begins, if anything is different.
with now_is as (select $2::timestamptz as at), same as (
    select 1 from host_history where host_id = $1::bigint and valid_to is null
        and (sockets, cores, threads, numa_cells, memory_bytes, coalesce(cpu_model, ''), coalesce(hypervisor, ''),
            coalesce(libvirt_version, ''), coalesce(hv_version, ''))
        = ($3::integer, $4::integer, $5::integer, $6::integer, $7::bigint, coalesce($8, ''), coalesce($9, ''),
            coalesce($10, ''), coalesce($11, ''))
), closed as (
    update host_history set valid_to = greatest((select at from now_is), valid_from + interval '1 microsecond')
    where host_id = $1::bigint and valid_to is null and not exists (select from same)
    returning valid_to
)
insert into host_history (host_id, valid_from, sockets, cores, threads, numa_cells, memory_bytes, cpu_model, hypervisor,
    libvirt_version, hv_version, capabilities_sha256)
select $1::bigint, coalesce((select valid_to from closed), (select at from now_is)), $3::integer, $4::integer, $5::integer,
    $6::integer, $7::bigint, $8, $9, $10, $11, encode(sha256(convert_to($12, 'UTF8')), 'hex')
where not exists (select from same)
-- name: host_history_end
update host_history set valid_to = greatest($2::timestamptz, valid_from + interval '1 microsecond')
where host_id = $1::bigint and valid_to is null

-- name: job_reclaim
-- Jobs that this machine's earlier life left half done: they start over and look first.
update job set state = 'pending', holder = null where state = 'running' and starts_with(holder, $1)
-- name: job_claim
update job set state = 'running', holder = $1, lease_until = now() + interval '5 minutes', attempt = attempt + 1,
    turn = turn + 1, started = coalesce(started, now())
where id = (select id from job where (state = 'pending' and due <= now()) or (state = 'running' and lease_until < now())
    order by due, id limit 1 for update skip locked)
returning id, uuid, command, object_uuid, request, attempt, account_id, turn, notes
-- name: job_next
-- Milliseconds until one is due.
select greatest(0, ceil(extract(epoch from min(due) - clock_timestamp()) * 1000))::bigint from job where state = 'pending'
-- name: job_step
update job set step = $3, lease_until = now() + interval '5 minutes'
where id = $1::bigint and turn = $2::bigint and state = 'running'
-- name: job_note
update job set notes = notes || jsonb_build_object($3::text, $4::text)
where id = $1::bigint and turn = $2::bigint and state = 'running'
-- name: job_again
-- It waits for something outside: no failure, so the attempt does not count.
update job set state = 'pending', holder = null, attempt = attempt - 1, step = $3,
    due = now() + $4::bigint * interval '1 microsecond'
where id = $1::bigint and turn = $2::bigint and state = 'running'
-- name: job_fence
-- Held to the end of the transaction: nobody else can take the job over meanwhile.
select 1 from job where id = $1::bigint and turn = $2::bigint and state = 'running' for update
-- name: job_hurry
-- Something happened to its object: it looks now.
update job set due = least(due, now()), notes = notes || jsonb_build_object('event', $2::text)
where object_uuid = $1::uuid and state in ('pending', 'running')
-- name: job_done
update job set state = 'succeeded', result = $3::jsonb, finished = now()
where id = $1::bigint and turn = $2::bigint and state = 'running'
-- name: job_fail
update job set state = 'failed', error_code = $3::integer, error_text = $4, finished = now()
where id = $1::bigint and turn = $2::bigint and state = 'running'
-- name: event_insert
insert into event (account_id, source, kind, object_uuid, text) values ($1::bigint, 'provision', $2, $3::uuid, $4)
-- name: notify
select pg_notify($1, $2)

-- name: guest_due
-- Guests whose agent is to be asked again, of the hosts of one worker ($1 of $2): after $3 microseconds, longer
-- when it was silent, up to sixteen times that.
select v.account_id, v.id, v.uuid, h.uri
from vm v
join host h on h.id = v.host_id and h.removed is null and h.state = 'Up' and not h.simulated
left join vm_guest g on g.account_id = v.account_id and g.vm_id = v.id
where v.removed is null and v.state = 'Running' and h.id % $2::bigint = $1::bigint
    and (g.tried is null or g.tried + (1 << least(g.failures, 4)) * $3::bigint * interval '1 microsecond' <= now())
order by h.id, g.tried nulls first, v.id limit 500

-- name: guest_told
insert into vm_guest (account_id, vm_id, seen, facts, tried) values ($1::bigint, $2::bigint, now(), $3::jsonb, now())
on conflict (account_id, vm_id) do update set seen = excluded.seen, facts = excluded.facts, tried = excluded.tried,
    failures = 0, error = null

-- name: guest_silent
-- What it told before stays; without a reason there is no agent.
insert into vm_guest (account_id, vm_id, tried, failures, error)
values ($1::bigint, $2::bigint, now(), case when $3::text is null then 0 else 1 end, $3)
on conflict (account_id, vm_id) do update set tried = excluded.tried, error = excluded.error,
    failures = case when excluded.error is null then 0 else vm_guest.failures + 1 end
