-- Statements of jeoul-provision.

-- name: host_list
select id, uuid, account_id, name, uri, simulated, state, coalesce(domain_type, 'qemu') as domain_type
from host where removed is null order by id
-- name: host_count
select count(*) from host where removed is null
-- name: host_by_uri
select uuid from host where uri = $1 and removed is null
-- name: host_insert
insert into host (uuid, account_id, zone_id, name, uri, simulated, state, hypervisor, domain_type,
    libvirt_version, hv_version, sockets, cores, threads, memory_bytes, capabilities)
select $1::uuid, a.id, z.id, $2, $3,
    $4::boolean, 'Up', $5, $6, $7, $8, $9::integer, $10::integer, $11::integer, $12::bigint, $13
from (select id from account where kind = 'provider' order by id limit 1) a,
     (select id from zone where $14::uuid is null or uuid = $14::uuid order by id limit 1) z
returning id, account_id
-- name: host_state
update host set state = $2, error = $3 where id = $1::bigint and (state, coalesce(error, '')) <> ($2, coalesce($3, ''))
-- name: host_facts
update host set hypervisor = $2, libvirt_version = $3, hv_version = $4, sockets = $5::integer, cores = $6::integer,
    threads = $7::integer, memory_bytes = $8::bigint, capabilities = $9 where id = $1::bigint
-- name: host_topology
select sockets, cores, account_id, uuid, name from host where id = $1::bigint
-- name: host_remove
update host set state = 'Removed', removed = $2::timestamptz where id = $1::bigint and removed is null
    and not exists (select from vm where host_id = $1::bigint and removed is null)

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
    v.offering_id, v.template_id
from vm v where v.host_id = $1::bigint and v.removed is null order by v.id
-- name: vm_by_uuid
select v.account_id, v.id, v.uuid, v.name, v.state, v.desired, v.adopted, v.vcpus, v.memory_bytes, v.epoch,
    false as busy, v.offering_id, v.template_id, v.host_id, v.instance_name, a.uuid as account_uuid,
    o.uuid as offering_uuid, coalesce(o.disk_bytes, 0) as disk_bytes, t.kind, t.format, t.path, t.kernel, t.initrd,
    t.cmdline, t.size_bytes
from vm v join account a on a.id = v.account_id left join offering o on o.id = v.offering_id
left join template t on t.id = v.template_id
where v.uuid = $1::uuid and v.removed is null
-- name: vm_known
select exists (select from vm where uuid = $1::uuid and (removed is null or removed > now() - interval '1 minute'))
-- name: vm_adopt
insert into vm (account_id, uuid, name, instance_name, host_id, adopted, vcpus, memory_bytes, desired, state,
    state_at, epoch, created)
values ($1::bigint, $2::uuid, $3, $3, $4::bigint, true, $5::integer, $6::bigint, 'AsIs', $7, $8::timestamptz, $9,
    $8::timestamptz)
returning id
-- name: vm_state
update vm set state = $3, state_at = $4::timestamptz, epoch = coalesce($5, epoch), error = $6
where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: vm_size
update vm set vcpus = $3::integer, memory_bytes = $4::bigint where account_id = $1::bigint and id = $2::bigint
-- name: vm_place
update vm set host_id = $3::bigint where account_id = $1::bigint and id = $2::bigint
-- name: vm_desire
update vm set desired = $3 where account_id = $1::bigint and id = $2::bigint
-- name: vm_remove
update vm set state = $3, state_at = $4::timestamptz, removed = $4::timestamptz
where account_id = $1::bigint and id = $2::bigint and removed is null
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
insert into volume (account_id, uuid, vm_id, name, target, kind, pool, path, format, size_bytes, state, created)
values ($1::bigint, $2::uuid, $3::bigint, $4, $5, $6, $7, $8, $9, $10::bigint, 'Ready', $11::timestamptz)
returning id
-- name: volume_unsized
-- Adopted while its size could not be asked: not billed before it is known.
select v.account_id, v.id, v.uuid, v.name, d.id, d.uuid, d.name, d.target, d.created
from volume d join vm v on v.account_id = d.account_id and v.id = d.vm_id and v.removed is null
where v.host_id = $1::bigint and d.removed is null and d.kind = 'adopted' and d.size_bytes = 0
-- name: volume_size
update volume set size_bytes = $3::bigint where account_id = $1::bigint and id = $2::bigint
-- name: volume_of_vm
select id, uuid, name, pool, size_bytes from volume where account_id = $1::bigint and vm_id = $2::bigint and removed is null
-- name: volume_remove
update volume set state = 'Destroyed', removed = $3::timestamptz
where account_id = $1::bigint and id = $2::bigint and removed is null
-- name: nic_insert
insert into nic (account_id, uuid, vm_id, mac, network, created)
values ($1::bigint, $2::uuid, $3::bigint, $4, $5, $6::timestamptz) returning id
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

-- name: place_candidates
-- Up hosts with what is promised on each, least promised memory first.
select h.id, h.name, h.memory_bytes, coalesce(sum(v.memory_bytes) filter (where v.state not in ('Stopped', 'Error')), 0) as promised
from host h left join vm v on v.host_id = h.id and v.removed is null
where h.removed is null and h.state = 'Up' and not h.simulated
group by h.id order by 4, h.id

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
