-- The first floor: who (tenancy), what (inventory), how long (lifetimes), how much
-- (usage windows), what it costs (tariffs, accrual), what went wrong (alarms), what is
-- under way (jobs).  Rules: bigint ids inside, uuid at the API's edge; every table that
-- grows carries account_id in its primary key; no trigger, no advisory lock and no
-- exclusion constraint is the only guard of such a table (lint in tests/system).
-- A table's comment starts with its class: account_keyed, reference or local.

create extension if not exists btree_gist with schema public;

create sequence resource_id_seq as bigint;

---------------------------------------------------------------- tenancy

create table domain (
    id          bigint generated always as identity primary key,
    uuid        uuid not null unique default gen_random_uuid(),
    parent_id   bigint references domain,
    name        text not null check (name ~ '^[^/[:cntrl:]]{1,120}$'),
    path        text not null unique,
    created     timestamptz not null default now()
);
comment on table domain is 'reference: tree of tenants; ROOT has the path "ROOT"';

create table account (
    id          bigint generated always as identity primary key,
    uuid        uuid not null unique default gen_random_uuid(),
    domain_id   bigint not null references domain,
    name        text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    kind        text not null default 'tenant' check (kind in ('provider', 'tenant')),
    state       text not null default 'enabled' check (state in ('enabled', 'disabled', 'locked')),
    currency    text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    timezone    text not null default 'UTC',
    locale      text not null default 'en' check (locale in ('en', 'ko')),
    created     timestamptz not null default now(),
    removed     timestamptz,
    unique (domain_id, name)
);
comment on table account is 'reference: who owns resources and gets statements';

create table app_user (
    id            bigint generated always as identity primary key,
    uuid          uuid not null unique default gen_random_uuid(),
    account_id    bigint not null references account,
    name          text not null unique check (name ~ '^[^[:cntrl:]]{1,120}$'),
    password_hash text,
    must_change   boolean not null default false,
    state         text not null default 'enabled' check (state in ('enabled', 'disabled')),
    api_key       text unique,
    secret_key    text,
    locale        text check (locale in ('en', 'ko')),
    created       timestamptz not null default now()
);
comment on table app_user is 'reference: people and programs that log in';

create table session (
    token_hash  bytea primary key,
    user_id     bigint not null references app_user on delete cascade,
    csrf_hash   bytea not null,
    created     timestamptz not null default now(),
    last_used   timestamptz not null default now(),
    source      text not null default ''
);
comment on table session is 'local: log-ins of the pages; only hashes of the tokens';

---------------------------------------------------------------- inventory

create table zone (
    id      bigint generated always as identity primary key,
    uuid    uuid not null unique default gen_random_uuid(),
    name    text not null unique,
    created timestamptz not null default now()
);
comment on table zone is 'reference: where hosts stand';

create table host (
    id              bigint primary key default nextval('resource_id_seq'),
    uuid            uuid not null unique default gen_random_uuid(),
    account_id      bigint not null references account, -- who pays its licences
    zone_id         bigint not null references zone,
    name            text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    uri             text not null,
    simulated       boolean not null default false,
    -- connecting: never answered yet; Up; Unreachable; Removed
    state           text not null default 'Connecting'
                    check (state in ('Connecting', 'Up', 'Unreachable', 'Removed')),
    hypervisor      text,          -- what libvirt says: QEMU, TEST, LXC
    domain_type     text,          -- kvm or qemu: what a probe guest really booted under
    libvirt_version text,
    hv_version      text,
    sockets         integer check (sockets > 0),
    cores           integer check (cores > 0),
    threads         integer check (threads > 0),
    memory_bytes    bigint check (memory_bytes > 0),
    capabilities    text,          -- the XML that sockets were counted from: evidence
    error           text,          -- why it is unreachable
    created         timestamptz not null default now(),
    removed         timestamptz
);
create unique index host_uri_once on host (uri) where removed is null;
create unique index host_name_once on host (name) where removed is null;
comment on table host is 'reference: hypervisors by libvirt URI';

create table host_contact (
    host_id       bigint primary key references host,
    last_ok       timestamptz,
    failing_since timestamptz,
    error         text,
    latency_us    bigint
);
comment on table host_contact is 'local: the collector''s last word about each host; alarms read it';

create table offering (
    id           bigint generated always as identity primary key,
    uuid         uuid not null unique default gen_random_uuid(),
    name         text not null unique,
    vcpus        integer not null check (vcpus between 1 and 1024),
    memory_bytes bigint not null check (memory_bytes >= 32 * 1048576),
    disk_bytes   bigint not null default 0 check (disk_bytes >= 0),
    created      timestamptz not null default now(),
    removed      timestamptz
);
comment on table offering is 'reference: sizes that a VM can have';

create table template (
    id          bigint generated always as identity primary key,
    uuid        uuid not null unique default gen_random_uuid(),
    account_id  bigint not null references account,
    name        text not null unique,
    -- disk: boots from its image; kernel: boots kernel + initrd, its disk starts empty
    kind        text not null check (kind in ('disk', 'kernel')),
    format      text check (format in ('qcow2', 'raw')),
    path        text,
    kernel      text,
    initrd      text,
    cmdline     text,
    size_bytes  bigint not null check (size_bytes >= 0),
    sha256      text,
    public      boolean not null default true,
    created     timestamptz not null default now(),
    removed     timestamptz,
    check (kind = 'disk' and path is not null and format is not null
        or kind = 'kernel' and kernel is not null and initrd is not null)
);
comment on table template is 'reference: what a VM can be made from';

create table vm (
    account_id    bigint not null references account,
    id            bigint not null default nextval('resource_id_seq'),
    uuid          uuid not null,        -- is libvirt's uuid
    name          text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    instance_name text not null,        -- the domain's name in libvirt
    host_id       bigint references host,
    offering_id   bigint references offering,   -- null: adopted
    template_id   bigint references template,
    adopted       boolean not null default false,
    vcpus         integer not null check (vcpus >= 1),
    memory_bytes  bigint not null check (memory_bytes > 0),
    desired       text not null default 'Running'
                  check (desired in ('Running', 'Stopped', 'Destroyed', 'AsIs')),
    state         text not null default 'Starting'
                  check (state in ('Starting', 'Running', 'Paused', 'Stopping', 'Stopped',
                      'Destroyed', 'Error', 'Unknown')),
    state_at      timestamptz not null default now(),
    -- one start of the guest's process: host/domain id/start; counters begin anew with it
    epoch         text,
    error         text,
    created       timestamptz not null default now(),
    removed       timestamptz,
    primary key (account_id, id)
);
create unique index vm_uuid_once on vm (account_id, uuid) where removed is null;
create index vm_host on vm (host_id) where removed is null;
comment on table vm is 'account_keyed: virtual machines as they should be and as they were last seen';

create table volume (
    account_id  bigint not null references account,
    id          bigint not null default nextval('resource_id_seq'),
    uuid        uuid not null default gen_random_uuid(),
    vm_id       bigint,
    name        text not null,
    target      text,                   -- vda: the device's name in the domain
    kind        text not null default 'root' check (kind in ('root', 'data', 'adopted')),
    pool        text,
    path        text,
    format      text,
    size_bytes  bigint not null check (size_bytes >= 0),
    state       text not null default 'Ready'
                check (state in ('Allocated', 'Creating', 'Ready', 'Destroyed', 'Error')),
    created     timestamptz not null default now(),
    removed     timestamptz,
    primary key (account_id, id)
);
create index volume_vm on volume (account_id, vm_id) where removed is null;
comment on table volume is 'account_keyed: disks of virtual machines';

create table nic (
    account_id  bigint not null references account,
    id          bigint not null default nextval('resource_id_seq'),
    uuid        uuid not null default gen_random_uuid(),
    vm_id       bigint not null,
    mac         text not null,
    network     text,
    target      text,                   -- the tap device of the present run
    created     timestamptz not null default now(),
    removed     timestamptz,
    primary key (account_id, id)
);
create index nic_vm on nic (account_id, vm_id) where removed is null;
comment on table nic is 'account_keyed: network cards of virtual machines';

---------------------------------------------------------------- lifetimes (usage, allocation)

-- One row per change, half-open [valid_from, valid_to); null: still so.  Written in the
-- transaction that changes the resource.  Only valid_to and close_reason may change, once.
create table lifetime (
    account_id    bigint not null references account,
    resource_id   bigint not null,
    kind          text not null check (kind in ('allocated', 'running', 'volume', 'host')),
    valid_from    timestamptz not null,
    valid_to      timestamptz check (valid_to > valid_from),
    resource_uuid uuid not null,
    resource_name text not null,
    vm_id         bigint,               -- of a volume: the VM it hangs on
    host_id       bigint,
    offering_id   bigint,
    template_id   bigint,
    vcpus         integer,
    memory_bytes  bigint,
    size_bytes    bigint,
    sockets       integer,
    cores         integer,
    simulated     boolean not null default false,
    open_reason   text not null,        -- created, adopted, started, resized, ...
    close_reason  text,                 -- stopped, destroyed, crashed, resized, ...
    recorded_at   timestamptz not null default now(),
    primary key (account_id, resource_id, kind, valid_from),
    exclude using gist (account_id with =, resource_id with =, kind with =,
        tstzrange(valid_from, valid_to) with &&)
);
create unique index lifetime_one_open on lifetime (account_id, resource_id, kind)
    where valid_to is null;
create index lifetime_by_time on lifetime (account_id, valid_from, valid_to);
comment on table lifetime is 'account_keyed: what existed or ran from when to when, and how large';

---------------------------------------------------------------- usage windows (consumption)

-- One wide row per resource (VM: cpu; volume: disk; NIC: net) and window; an absolute
-- state: written again it changes nothing, a later `through` replaces an earlier one.
create table usage_window (
    account_id          bigint not null,
    resource_id         bigint not null,
    window_from         timestamptz not null,
    window_to           timestamptz not null check (window_to > window_from),
    resource_kind       text not null check (resource_kind in ('vm', 'volume', 'nic')),
    vm_id               bigint not null,
    through             timestamptz not null,  -- time of the last sample in it
    epoch               text not null,         -- of the last sample
    cpu_ns              bigint not null default 0 check (cpu_ns >= 0),
    vcpu_ns             bigint not null default 0 check (vcpu_ns >= 0),
    net_rx_bytes        bigint not null default 0 check (net_rx_bytes >= 0),
    net_tx_bytes        bigint not null default 0 check (net_tx_bytes >= 0),
    disk_read_bytes     bigint not null default 0 check (disk_read_bytes >= 0),
    disk_write_bytes    bigint not null default 0 check (disk_write_bytes >= 0),
    disk_read_requests  bigint not null default 0 check (disk_read_requests >= 0),
    disk_write_requests bigint not null default 0 check (disk_write_requests >= 0),
    raw_cpu_ns          bigint,
    raw_vcpu_ns         bigint[],
    raw_net_rx          bigint,
    raw_net_tx          bigint,
    raw_disk_read       bigint,
    raw_disk_write      bigint,
    raw_disk_read_req   bigint,
    raw_disk_write_req  bigint,
    samples             integer not null default 0,
    resets              integer not null default 0,
    simulated           boolean not null default false,
    primary key (account_id, resource_id, window_from)
) partition by range (window_from);
comment on table usage_window is 'account_keyed: consumption by hour with the counters it was taken from';
create table usage_window_rest partition of usage_window default;
comment on table usage_window_rest is 'account_keyed: windows of months that have no partition of their own';

create table meter_gap (
    account_id  bigint not null,
    resource_id bigint not null,
    gap_from    timestamptz not null,
    gap_to      timestamptz not null check (gap_to > gap_from),
    reason      text not null,
    primary key (account_id, resource_id, gap_from)
);
comment on table meter_gap is 'account_keyed: times in which a running resource was not measured: reported, not billed';

-- Makes the partition of the month that t lies in; true if it was missing.
create function usage_window_partition(t timestamptz) returns boolean
language plpgsql security definer set search_path = jeoul, public as $$
declare
    start timestamptz := date_trunc('month', t at time zone 'UTC') at time zone 'UTC';
    stop timestamptz := (date_trunc('month', t at time zone 'UTC') + interval '1 month') at time zone 'UTC';
    name text := 'usage_window_' || to_char(t at time zone 'UTC', 'YYYYMM');
begin
    if to_regclass('jeoul.' || name) is not null then
        return false;
    end if;
    if exists (select from usage_window_rest where window_from >= start and window_from < stop) then
        return false; -- rows of that month rest in the default partition already
    end if;
    execute format('create table %I partition of usage_window for values from (%L) to (%L)', name, start, stop);
    execute format('comment on table %I is %L', name, 'account_keyed: a month of usage_window');
    return true;
end $$;

---------------------------------------------------------------- calendar (billing-rules 2.4)

create table billing_calendar (
    zone   text not null,
    unit   text not null check (unit in ('hour', 'day', 'month', 'year')),
    starts timestamptz not null,
    ends   timestamptz not null check (ends > starts),
    primary key (zone, unit, starts)
);
comment on table billing_calendar is 'reference: local units of each zone in use, computed in SQL only';

---------------------------------------------------------------- tariffs and running charges

create table tariff (
    id       bigint generated always as identity primary key,
    uuid     uuid not null unique default gen_random_uuid(),
    name     text not null unique,
    created  timestamptz not null default now()
);
comment on table tariff is 'reference: price lists';

-- Append-only: a correction is a new version with a later recorded_at.
create table tariff_version (
    tariff_id   bigint not null references tariff,
    version     integer not null,
    document    text not null,          -- the JSON form of billing-rules section 0
    sha256      text not null,
    recorded_at timestamptz not null default now(),
    recorded_by bigint references app_user,
    primary key (tariff_id, version)
);
comment on table tariff_version is 'reference: price lists as they were entered';

create table account_tariff (
    account_id bigint not null references account,
    valid_from timestamptz not null,
    tariff_id  bigint not null references tariff,
    primary key (account_id, valid_from)
);
comment on table account_tariff is 'account_keyed: which price list an account has from when on';

-- Running charges of an open period, brought up to date by the rater: absolute states.
create table accrual (
    account_id     bigint not null references account,
    period_from    timestamptz not null,
    line_key       text not null,       -- sku, resource, version, band: stable
    period_to      timestamptz not null,
    sku            text not null,
    resource_uuid  uuid,
    resource_name  text,
    tariff_id      bigint not null,
    tariff_version integer not null,
    currency       text not null,
    quantity       text not null,       -- exact: decimal or n/d
    unit           text not null,
    exact          text not null,       -- exact amount before the rounding
    amount         numeric not null,    -- rounded, as a closed line would show it
    band           text,
    through        timestamptz not null,
    generation     bigint not null,
    primary key (account_id, period_from, line_key)
);
comment on table accrual is 'account_keyed: what each line of the open period has come to so far';

create table accrual_run (
    account_id  bigint not null references account,
    period_from timestamptz not null,
    period_to   timestamptz not null,
    through     timestamptz not null,
    generation  bigint not null,
    currency    text not null,
    subtotal    numeric not null,
    tax         numeric not null,
    total       numeric not null,
    per_hour    text,                   -- what the account costs per hour right now
    unrated     jsonb not null default '[]',
    primary key (account_id, period_from)
);
comment on table accrual_run is 'account_keyed: totals of the open period; lines of an older generation are void';

---------------------------------------------------------------- leases, jobs, events

create table lease (
    name    text primary key,           -- host:12, rater:0
    holder  text not null,
    epoch   bigint not null default 1,
    expires timestamptz not null
);
comment on table lease is 'local: who works on what; its epoch fences late writers off';

create table job (
    id           bigint generated always as identity primary key,
    uuid         uuid not null unique default gen_random_uuid(),
    account_id   bigint not null references account,
    user_id      bigint references app_user,
    command      text not null,         -- deployVirtualMachine, ...
    object_kind  text not null,
    object_uuid  uuid not null,
    request      jsonb not null default '{}',
    state        text not null default 'pending'
                 check (state in ('pending', 'running', 'succeeded', 'failed')),
    step         text not null default '',
    attempt      integer not null default 0,
    holder       text,
    lease_until  timestamptz,
    result       jsonb,
    error_code   integer,
    error_text   text,
    created      timestamptz not null default now(),
    started      timestamptz,
    finished     timestamptz
);
create unique index job_one_active on job (object_uuid) where state in ('pending', 'running');
create index job_waiting on job (id) where state in ('pending', 'running');
comment on table job is 'local: long work, claimed by the role that owns it';

create table event (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default now(),
    account_id  bigint references account,
    user_id     bigint references app_user,
    source      text not null default '',
    kind        text not null,          -- VM.START, HOST.ADD, USER.LOGIN, ...
    object_uuid uuid,
    text        text not null
);
comment on table event is 'local: who did what; append-only';

---------------------------------------------------------------- alarms

create table alarm (
    id          bigint generated always as identity primary key,
    uuid        uuid not null unique default gen_random_uuid(),
    rule        text not null,          -- host.unreachable, role.down, database.down
    object_kind text not null,
    object_uuid uuid,
    object_name text not null,
    severity    text not null check (severity in
                    ('critical', 'major', 'minor', 'warning', 'indeterminate')),
    text        text not null,
    raised_at   timestamptz not null,
    cleared_at  timestamptz,
    count       integer not null default 1,
    check (cleared_at >= raised_at)
);
create unique index alarm_one_active on alarm (rule, object_name) where cleared_at is null;
comment on table alarm is 'local: what is or was wrong; one active alarm per rule and object';

-- Every change of an alarm and its delivery, in one transaction with the alarm.
create table notification (
    seq        bigint generated always as identity primary key,
    alarm_id   bigint not null references alarm,
    kind       text not null check (kind in ('raise', 'change', 'clear')),
    at         timestamptz not null,
    severity   text not null,
    text       text not null
);
comment on table notification is 'local: each transition of an alarm, numbered for the NOC';

create table delivery (
    seq       bigint not null references notification,
    receiver  text not null,            -- trap:127.0.0.1:162, syslog:udp:...
    attempts  integer not null default 0,
    sent_at   timestamptz,
    error     text,
    next_try  timestamptz not null default now(),
    primary key (seq, receiver)
);
create index delivery_due on delivery (next_try) where sent_at is null;
comment on table delivery is 'local: outbox of notifications per receiver';

---------------------------------------------------------------- the first inhabitants

insert into domain (name, path) values ('ROOT', 'ROOT');
insert into account (domain_id, name, kind) select id, 'admin', 'provider' from domain where path = 'ROOT';
-- Domains that were found running and belong to nobody yet.
insert into account (domain_id, name, kind, state) select id, 'unassigned', 'tenant', 'enabled' from domain where path = 'ROOT';
insert into zone (name) values ('zone1');

---------------------------------------------------------------- rights

grant usage on schema jeoul to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant select on all tables in schema jeoul to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant usage on all sequences in schema jeoul to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
revoke select on app_user, session from jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp;
grant insert, update, delete on lease to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp;

grant insert, update on host, vm, volume, nic to jeoul_provision;
grant insert on lifetime, event to jeoul_provision;
grant update (valid_to, close_reason) on lifetime to jeoul_provision;
grant update on job to jeoul_provision;

grant insert, update on usage_window, host_contact to jeoul_meter;
grant insert on meter_gap, event to jeoul_meter;
grant execute on function usage_window_partition(timestamptz) to jeoul_meter;

grant insert on billing_calendar, event to jeoul_billing;
grant insert, update on accrual, accrual_run to jeoul_billing;

grant insert, update on alarm, delivery to jeoul_snmp;
grant insert on notification, event to jeoul_snmp;

grant insert on account, app_user, domain, offering, template, tariff, tariff_version,
    account_tariff, job, event, host, vm, volume, nic to jeoul_web;
grant update on account, app_user, template, offering to jeoul_web;
grant insert, update, delete on session to jeoul_web;
