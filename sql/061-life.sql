-- The whole life of virtual machines, disks, images and snapshots.

---------------------------------------------------------------- lifetimes of further kinds

alter table lifetime drop constraint lifetime_kind_check;
alter table lifetime add constraint lifetime_kind_check check (kind in ('allocated', 'running', 'volume', 'host',
    'snapshot', 'vm_snapshot', 'template', 'iso', 'network', 'address', 'port_forward', 'security_group'));

---------------------------------------------------------------- where disks can be

create table storage_pool (
    id             bigint primary key default nextval('resource_id_seq'),
    uuid           uuid not null unique default gen_random_uuid(),
    zone_id        bigint not null references zone,
    host_id        bigint references host,   -- null: every host of the zone reaches it
    name           text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    kind           text not null check (kind in ('dir', 'fs', 'netfs', 'logical', 'iscsi-direct', 'rbd')),
    libvirt_name   text not null check (libvirt_name ~ '^[A-Za-z0-9_.-]{1,60}$'),
    target         text,                     -- folder or mount point on the host
    source_host    text,                     -- server of netfs, iscsi-direct, rbd
    source_port    integer check (source_port between 1 and 65535),
    source_name    text,                     -- device, export, volume group, IQN, Ceph pool
    source_user    text,                     -- cephx or CHAP user
    secret         text,                     -- its key; given to libvirt, shown nowhere
    secret_uuid    uuid not null default gen_random_uuid(),
    capacity_bytes bigint check (capacity_bytes >= 0),
    used_bytes     bigint check (used_bytes >= 0),
    overcommit     numeric(8, 3) not null default 2 check (overcommit >= 1),
    state          text not null default 'Connecting'
                   check (state in ('Connecting', 'Up', 'Maintenance', 'Unreachable', 'Removed')),
    error          text,
    created        timestamptz not null default now(),
    removed        timestamptz
);
create unique index storage_pool_once on storage_pool (coalesce(host_id, 0), libvirt_name) where removed is null;
comment on table storage_pool is 'reference: where disks can be; one named jeoul on each host';
insert into storage_pool (zone_id, host_id, name, kind, libvirt_name)
select zone_id, id, name || ' local', 'dir', 'jeoul' from host where removed is null;

create table disk_offering (
    id         bigint generated always as identity primary key,
    uuid       uuid not null unique default gen_random_uuid(),
    name       text not null unique check (name ~ '^[^[:cntrl:]]{1,120}$'),
    size_bytes bigint check (size_bytes > 0),   -- null: asked for each volume
    created    timestamptz not null default now(),
    removed    timestamptz
);
comment on table disk_offering is 'reference: sizes that data volumes can have';
insert into disk_offering (name, size_bytes) values ('Custom', null);

---------------------------------------------------------------- virtual machines

alter table vm
    -- removed without expunged: its disks are still there, it can be recovered
    add column expunged          timestamptz,
    -- a size that the guest could not take while it ran: from its next start on
    add column next_vcpus        integer check (next_vcpus >= 1),
    add column next_memory_bytes bigint check (next_memory_bytes > 0),
    add column iso_id            bigint references template,
    add column rescue_id         bigint references template, -- boots from it, not from its disk
    add column user_data         text check (length(user_data) <= 1048576),
    add column password_hash     text,       -- of the guest's user, for its first boot
    add column seed              integer not null default 0, -- counts up when the guest must read its seed again
    add column public_keys       text not null default '',
    add column cmdline           text,       -- of a kernel; null: the template's
    add column ha                boolean not null default false;
update vm set expunged = removed where removed is not null;
create index vm_bin on vm (removed) where removed is not null and expunged is null;
drop index vm_uuid_once;
create unique index vm_uuid_once on vm (account_id, uuid) where expunged is null;

alter table volume
    add column pool_id      bigint references storage_pool,
    add column offering_id  bigint references disk_offering,
    add column snapshot_id  bigint,          -- made from it
    add column backing      text,            -- it is an overlay over this file
    add column file         text,            -- its name in the pool
    add column expunged     timestamptz;
update volume set expunged = removed where removed is not null;
update volume set file = name where pool is not null;
alter table volume drop constraint volume_state_check;
alter table volume add constraint volume_state_check check (state in ('Allocated', 'Creating', 'Ready', 'Attaching',
    'Detaching', 'Resizing', 'Snapshotting', 'Reverting', 'Migrating', 'Destroyed', 'Expunging', 'Error'));
update volume v set pool_id = p.id from vm m, storage_pool p
where m.account_id = v.account_id and m.id = v.vm_id and p.host_id = m.host_id and v.pool = 'jeoul';
create unique index volume_uuid_once on volume (account_id, uuid);
-- One disk per place of a VM: two attachments at once cannot take the same.
create unique index volume_target_once on volume (account_id, vm_id, target)
    where removed is null and target is not null and kind <> 'adopted';
create index volume_bin on volume (removed) where removed is not null and expunged is null;

---------------------------------------------------------------- images

alter table template
    add column display_text text not null default '',
    add column state        text not null default 'Ready'
                            check (state in ('Allocated', 'Downloading', 'Creating', 'Ready', 'Error', 'Removed')),
    add column error        text,
    add column url          text,           -- where it is fetched from; null: path is a file of the hosts
    add column physical_bytes bigint not null default 0,
    add column featured     boolean not null default false,
    add column bootable     boolean not null default true,
    add column password_enabled boolean not null default false,
    add column os_type      text not null default 'Other (64-bit)',
    add column source_uuid  uuid,           -- snapshot or volume that it was made from
    add column resource_id  bigint not null default nextval('resource_id_seq');
alter table template drop constraint template_name_key;
create unique index template_name_once on template (account_id, name) where removed is null;
alter table template drop constraint template_kind_check;
alter table template add constraint template_kind_check check (kind in ('disk', 'kernel', 'iso'));
alter table template drop constraint template_check;
alter table template add constraint template_check check (
    kind = 'kernel' and kernel is not null and initrd is not null
    or kind <> 'kernel' and format is not null);

-- A copy of an image in a pool: what the guests' disks are overlays of.
create table template_copy (
    template_id bigint not null references template,
    pool_id     bigint not null references storage_pool,
    path        text,
    state       text not null default 'Creating' check (state in ('Creating', 'Ready')),
    job_id      bigint,                      -- that makes it; another takes over when that one has ended
    created     timestamptz not null default now(),
    primary key (template_id, pool_id)
);
comment on table template_copy is 'reference: images in pools';

---------------------------------------------------------------- snapshots

create table snapshot (
    account_id     bigint not null references account,
    id             bigint not null default nextval('resource_id_seq'),
    uuid           uuid not null default gen_random_uuid(),
    volume_id      bigint not null,
    volume_uuid    uuid not null,
    name           text not null check (name ~ '^[^[:cntrl:]]{1,200}$'),
    kind           text not null default 'MANUAL'
                   check (kind in ('MANUAL', 'HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY')),
    policy_id      bigint,
    pool_id        bigint references storage_pool,
    path           text,
    size_bytes     bigint not null check (size_bytes >= 0), -- as the guest sees it
    physical_bytes bigint not null default 0,               -- what it takes; fixed when it was made
    state          text not null default 'Creating'
                   check (state in ('Creating', 'BackedUp', 'Destroyed', 'Error')),
    error          text,
    created        timestamptz not null default now(),
    removed        timestamptz,
    primary key (account_id, id)
);
create unique index snapshot_uuid_once on snapshot (account_id, uuid);
create index snapshot_volume on snapshot (account_id, volume_id) where removed is null;
comment on table snapshot is 'account_keyed: copies of volumes as they were at an instant';

create table snapshot_policy (
    account_id bigint not null references account,
    id         bigint not null default nextval('resource_id_seq'),
    uuid       uuid not null default gen_random_uuid(),
    volume_id  bigint not null,
    interval   text not null check (interval in ('HOURLY', 'DAILY', 'WEEKLY', 'MONTHLY')),
    schedule   text not null,          -- "MM", "MM:HH", "MM:HH:D": CloudStack's form
    timezone   text not null,
    keep       integer not null check (keep between 1 and 1000),
    next_at    timestamptz not null,
    created    timestamptz not null default now(),
    primary key (account_id, id)
);
create unique index snapshot_policy_once on snapshot_policy (account_id, volume_id, interval);
create index snapshot_policy_due on snapshot_policy (next_at);
comment on table snapshot_policy is 'account_keyed: snapshots by the clock';

create table vm_snapshot (
    account_id  bigint not null references account,
    id          bigint not null default nextval('resource_id_seq'),
    uuid        uuid not null default gen_random_uuid(),
    vm_id       bigint not null,
    name        text not null check (name ~ '^[^[:cntrl:]]{1,200}$'),
    description text not null default '',
    memory      boolean not null default false,
    parent_id   bigint,
    current     boolean not null default false,
    size_bytes  bigint not null default 0,
    state       text not null default 'Creating'
                check (state in ('Creating', 'Ready', 'Reverting', 'Removed', 'Error')),
    error       text,
    created     timestamptz not null default now(),
    removed     timestamptz,
    primary key (account_id, id)
);
create unique index vm_snapshot_uuid_once on vm_snapshot (account_id, uuid);
create index vm_snapshot_vm on vm_snapshot (account_id, vm_id) where removed is null;
comment on table vm_snapshot is 'account_keyed: whole VMs as they were at an instant';

---------------------------------------------------------------- networks

create table network (
    account_id   bigint not null references account,
    id           bigint not null default nextval('resource_id_seq'),
    uuid         uuid not null default gen_random_uuid(),
    zone_id      bigint not null references zone,
    name         text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    -- nat: own addresses, the world through the host; isolated: no way out; bridge: on a
    -- bridge of the hosts; vlan: a tag on an Open vSwitch bridge of the hosts
    mode         text not null check (mode in ('nat', 'isolated', 'bridge', 'vlan')),
    libvirt_name text not null check (libvirt_name ~ '^[A-Za-z0-9_-]{1,40}$'),
    bridge       text check (bridge ~ '^[A-Za-z0-9_.-]{1,15}$'),
    vlan         integer check (vlan between 1 and 4094),
    shared       boolean not null default false, -- everybody may use it
    cidr4        cidr,
    gateway4     inet,
    cidr6        cidr,
    gateway6     inet,
    domain_name  text check (domain_name ~ '^[A-Za-z0-9.-]{1,120}$'),
    persistent   boolean not null default false, -- stands on the hosts also without VMs
    state        text not null default 'Allocated' check (state in ('Allocated', 'Implemented', 'Destroyed')),
    error        text,
    created      timestamptz not null default now(),
    removed      timestamptz,
    primary key (account_id, id)
);
create unique index network_uuid_once on network (account_id, uuid);
create unique index network_libvirt_once on network (account_id, libvirt_name) where removed is null;
comment on table network is 'account_keyed: what cards are plugged into';
insert into network (account_id, zone_id, name, mode, libvirt_name, shared, cidr4, gateway4, state)
select a.id, z.id, 'default', 'nat', 'default', true, '192.168.122.0/24', '192.168.122.1', 'Implemented'
from (select id from account where kind = 'provider' order by id limit 1) a, (select min(id) as id from zone) z;
alter table nic
    add column network_id bigint,
    add column is_default boolean not null default false;
update nic n set network_id = w.id from network w where n.network = w.libvirt_name;

---------------------------------------------------------------- tags and keys

create table tag (
    account_id    bigint not null references account,
    resource_kind text not null check (resource_kind in ('vm', 'volume', 'snapshot', 'template', 'network', 'host')),
    resource_uuid uuid not null,
    key           text not null check (key ~ '^[^[:cntrl:]]{1,255}$'),
    value         text not null check (length(value) <= 255),
    primary key (account_id, resource_uuid, key)
);
comment on table tag is 'account_keyed: words that tenants pin on what they own';

create table key_pair (
    account_id  bigint not null references account,
    id          bigint not null default nextval('resource_id_seq'),
    uuid        uuid not null default gen_random_uuid(),
    name        text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    fingerprint text not null,
    public_key  text not null check (length(public_key) <= 8192),
    created     timestamptz not null default now(),
    primary key (account_id, id),
    unique (account_id, name)
);
comment on table key_pair is 'account_keyed: public SSH keys; the secret halves are nowhere';

---------------------------------------------------------------- rights

do $$
declare
    name text;
begin
    foreach name in array array['snapshot', 'snapshot_policy', 'vm_snapshot', 'network', 'tag', 'key_pair'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
        execute format('grant select on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web', name);
    end loop;
end $$;
-- Networks of everybody are seen by everybody.
create policy web_shared on network for select to jeoul_web using (shared);
grant select on storage_pool, disk_offering, template_copy to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp;
grant select on disk_offering to jeoul_web;
grant select (id, uuid, zone_id, host_id, name, kind, libvirt_name, target, source_host, source_port, source_name,
    source_user, capacity_bytes, used_bytes, overcommit, state, error, created, removed) on storage_pool to jeoul_web;
grant usage on all sequences in schema jeoul to jeoul_provision, jeoul_web;
grant insert, update on storage_pool, template, snapshot, snapshot_policy, vm_snapshot, network to jeoul_provision;
grant delete on snapshot_policy to jeoul_provision;
grant insert, update, delete on template_copy to jeoul_provision;
grant insert, delete on tag, key_pair to jeoul_web;
grant update on tag to jeoul_web;
grant insert, update on network, snapshot, vm_snapshot, snapshot_policy, disk_offering, storage_pool to jeoul_web;
grant delete on snapshot_policy to jeoul_web;
grant update (name, ha, user_data, public_keys, password_hash, cmdline, seed) on vm to jeoul_web;
grant update (name) on volume to jeoul_web;
grant update (result) on job to jeoul_web;
grant insert on job to jeoul_provision;
