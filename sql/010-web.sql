-- The API's read side: row-level security that keeps tenants apart, views whose columns are
-- the fields of the answers (web/responses.def), and what jeoul-web may touch.
--
-- A request sets in its transaction
--   jeoul.account   the account whose rows it may see and write, or 'all'
--   jeoul.provider  'on' when the caller belongs to the provider
-- Without them jeoul_web sees no row of any account.

alter table app_user
    add column email      text not null default '' check (length(email) <= 255),
    add column first_name text not null default '' check (length(first_name) <= 255),
    add column last_name  text not null default '' check (length(last_name) <= 255);
create index app_user_account on app_user (account_id);
create index job_account on job (account_id, id);

---------------------------------------------------------------- row-level security

-- The range of accounts in sight: one condition that an index on account_id can use.
create function account_low() returns bigint
language sql stable parallel safe as $$
    select case current_setting('jeoul.account', true)
        when 'all' then 0 when '' then null else current_setting('jeoul.account', true)::bigint end
$$;
create function account_high() returns bigint
language sql stable parallel safe as $$
    select case current_setting('jeoul.account', true)
        when 'all' then 9223372036854775807 when '' then null
        else current_setting('jeoul.account', true)::bigint end
$$;
create function by_provider() returns boolean
language sql stable parallel safe as $$
    select coalesce(current_setting('jeoul.provider', true) = 'on', false)
$$;

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['vm', 'volume', 'nic', 'lifetime', 'usage_window', 'meter_gap',
            'account_tariff', 'accrual', 'accrual_run', 'job', 'app_user'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
    -- What only the provider sees.
    foreach name in array array['host', 'host_contact', 'alarm', 'notification', 'delivery', 'event'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I for select to jeoul_web using ((select by_provider()))', name);
    end loop;
end $$;
alter table account enable row level security;
create policy roles on account to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on account to jeoul_web
    using (id between (select account_low()) and (select account_high()));
-- Whatever a tenant does is written down, though only the provider reads it.
create policy web_insert on event for insert to jeoul_web
    with check (account_id is null or account_id between (select account_low()) and (select account_high()));

---------------------------------------------------------------- who calls (before any scope is known)

-- These three run as the owner: they are the only way of jeoul_web to passwords and keys.
create function caller_by_key(key text,
    out user_id bigint, out user_uuid uuid, out user_name text, out user_state text, out must_change boolean,
    out secret text, out account_id bigint, out account_uuid uuid, out account_name text, out kind text,
    out account_state text, out domain_uuid uuid, out locale text, out timezone text)
returns setof record language sql stable security definer set search_path = jeoul, pg_temp as $$
    select u.id, u.uuid, u.name, u.state, u.must_change, u.secret_key, a.id, a.uuid, a.name, a.kind,
        case when a.removed is null then a.state else 'disabled' end, d.uuid,
        u.locale, a.timezone
    from app_user u join account a on a.id = u.account_id join domain d on d.id = a.domain_id
    where u.api_key = key and u.secret_key is not null
$$;
create function caller_by_name(login text,
    out user_id bigint, out user_uuid uuid, out user_name text, out user_state text, out must_change boolean,
    out secret text, out account_id bigint, out account_uuid uuid, out account_name text, out kind text,
    out account_state text, out domain_uuid uuid, out locale text, out timezone text,
    out domain_path text, out first_name text, out last_name text)
returns setof record language sql stable security definer set search_path = jeoul, pg_temp as $$
    select u.id, u.uuid, u.name, u.state, u.must_change, u.password_hash, a.id, a.uuid, a.name, a.kind,
        case when a.removed is null then a.state else 'disabled' end, d.uuid,
        u.locale, a.timezone, d.path, u.first_name, u.last_name
    from app_user u join account a on a.id = u.account_id join domain d on d.id = a.domain_id
    where u.name = login
$$;
-- click: only what a person did keeps a log-in alive, the page's own refresh does not.
create function caller_by_session(token bytea, idle interval, click boolean,
    out user_id bigint, out user_uuid uuid, out user_name text, out user_state text, out must_change boolean,
    out secret text, out account_id bigint, out account_uuid uuid, out account_name text, out kind text,
    out account_state text, out domain_uuid uuid, out locale text, out timezone text)
returns setof record language plpgsql security definer set search_path = jeoul, pg_temp as $$
begin
    if click then
        update session s set last_used = now() where s.token_hash = token
            and s.last_used > now() - idle and s.last_used < now() - interval '10 seconds';
    end if;
    return query select u.id, u.uuid, u.name, u.state, u.must_change, null::text, a.id, a.uuid, a.name, a.kind,
        case when a.removed is null then a.state else 'disabled' end, d.uuid,
        u.locale, a.timezone
    from session s join app_user u on u.id = s.user_id join account a on a.id = u.account_id
        join domain d on d.id = a.domain_id
    where s.token_hash = token and s.last_used > now() - idle;
end $$;
revoke all on function caller_by_key(text), caller_by_name(text),
    caller_by_session(bytea, interval, boolean) from public;

-- Programs of Jeoul that are connected; a role may not see the others' connections itself.
create function roles_connected() returns table (role text, connections bigint)
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select substr(application_name, 7), count(*) from pg_stat_activity
    where datname = current_database() and application_name like 'jeoul-%' group by 1 order by 1
$$;
revoke all on function roles_connected() from public;

---------------------------------------------------------------- views: columns are fields of answers

-- What everybody may know of a host: VMs on simulated hosts must say so to their owners too.
create view host_mark as select id, zone_id, simulated, hypervisor, domain_type from host;
comment on view host_mark is 'runs as the owner on purpose: three harmless columns of host';

-- CloudStack's words for a kind of hypervisor.
create function hypervisor_name(hypervisor text, simulated boolean) returns text
language sql immutable parallel safe as $$
    select case when simulated then 'Simulator' when upper(hypervisor) = 'QEMU' then 'KVM'
        else coalesce(upper(hypervisor), 'KVM') end
$$;

create view api_zone with (security_invoker = true) as
select z.id as row_id, z.uuid as id, z.name, z.name as displaytext, 'Enabled' as allocationstate,
    'Basic' as networktype, false as securitygroupsenabled, true as localstorageenabled,
    'Core' as type, '[]'::jsonb as tags, z.created
from zone z;

create view api_host with (security_invoker = true) as
select h.id as row_id, h.uuid as id, h.name,
    case h.state when 'Unreachable' then 'Disconnected' else h.state end as state,
    case when h.removed is null then 'Enabled' else 'Disabled' end as resourcestate,
    'Routing' as type, h.uri, hypervisor_name(h.hypervisor, h.simulated) as hypervisor,
    h.hv_version as hypervisorversion, h.libvirt_version as libvirtversion,
    h.domain_type as domaintype, h.simulated, h.sockets as cpusockets, h.cores as cpucores,
    h.threads as cpunumber, h.memory_bytes as memorytotal,
    coalesce(u.vcpus, 0) as vcpusallocated, coalesce(u.memory, 0) as memoryallocated,
    coalesce(u.count, 0) as virtualmachines,
    c.last_ok as lastpinged, c.failing_since as failingsince, coalesce(c.error, h.error) as error,
    z.uuid as zoneid, z.name as zonename, a.name as account, h.created, h.removed
from host h
join zone z on z.id = h.zone_id
join account a on a.id = h.account_id
left join host_contact c on c.host_id = h.id
left join lateral (
    select sum(v.vcpus) as vcpus, sum(v.memory_bytes) as memory, count(*) as count
    from vm v where v.host_id = h.id and v.removed is null and v.state in ('Starting', 'Running', 'Paused', 'Stopping')
) u on true;

create view api_virtual_machine with (security_invoker = true) as
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
    false as haenable, false as passwordenabled, true as displayvm,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', n.uuid, 'macaddress', n.mac, 'networkname', n.network,
            'isdefault', n.first)) order by n.id)
        from (select *, row_number() over (order by id) = 1 as first from nic
              where nic.account_id = v.account_id and nic.vm_id = v.id and nic.removed is null) n), '[]') as nic,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', w.uuid, 'name', w.name, 'type',
            case w.kind when 'root' then 'ROOT' else 'DATADISK' end, 'device', w.target,
            'size', w.size_bytes, 'state', w.state)) order by w.id)
        from volume w where w.account_id = v.account_id and w.vm_id = v.id and w.removed is null), '[]') as volumes,
    '[]'::jsonb as affinitygroup, '[]'::jsonb as securitygroup, '[]'::jsonb as tags,
    j.uuid as jobid, case when j.uuid is not null then 0 end as jobstatus,
    v.created, v.removed
from vm v
join account a on a.id = v.account_id
join domain d on d.id = a.domain_id
left join host h on h.id = v.host_id
left join host_mark m on m.id = v.host_id
left join offering o on o.id = v.offering_id
left join template t on t.id = v.template_id
left join zone z on z.id = coalesce(m.zone_id, (select min(id) from zone))
left join job j on j.object_uuid = v.uuid and j.state in ('pending', 'running');

create view api_user with (security_invoker = true) as
select u.account_id, u.id as row_id, u.uuid as id, u.name as username, u.first_name as firstname,
    u.last_name as lastname, u.email, u.created, u.state, a.name as account, a.uuid as accountid,
    case a.kind when 'provider' then 1 else 0 end as accounttype,
    case a.kind when 'provider' then 'Admin' else 'User' end as roletype,
    case a.kind when 'provider' then 'Root Admin' else 'User' end as rolename,
    d.name as domain, d.uuid as domainid, u.api_key as apikey, a.timezone, u.locale,
    u.must_change as mustchange, 'native' as usersource, false as is2faenabled, false as isdefault
from app_user u join account a on a.id = u.account_id join domain d on d.id = a.domain_id;

create view api_account with (security_invoker = true) as
select a.id as account_id, a.id as row_id, a.uuid as id, a.name,
    case a.kind when 'provider' then 1 else 0 end as accounttype,
    case a.kind when 'provider' then 'Admin' else 'User' end as roletype,
    case a.kind when 'provider' then 'Root Admin' else 'User' end as rolename,
    d.name as domain, d.uuid as domainid, d.path as domainpath, a.state, a.created,
    a.kind = 'provider' as isdefault, a.currency, a.timezone, a.locale,
    t.uuid as tariffid, t.name as tariffname,
    coalesce(c.total, 0) as vmtotal, coalesce(c.running, 0) as vmrunning,
    coalesce(c.total - c.running, 0) as vmstopped,
    'Unlimited' as vmlimit, 'Unlimited' as vmavailable,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', u.id, 'username', u.username, 'firstname', u.firstname,
            'lastname', u.lastname, 'email', u.email, 'state', u.state, 'account', u.account,
            'accountid', u.accountid, 'accounttype', u.accounttype, 'domain', u.domain, 'domainid', u.domainid,
            'apikey', u.apikey)) order by u.row_id)
        from api_user u where u.account_id = a.id), '[]') as "user"
from account a
join domain d on d.id = a.domain_id
left join lateral (
    select count(*) as total, count(*) filter (where v.state in ('Running', 'Paused')) as running
    from vm v where v.account_id = a.id and v.removed is null
) c on true
left join lateral (
    select tariff_id from account_tariff x where x.account_id = a.id and x.valid_from <= now()
    order by valid_from desc limit 1
) x on true
left join tariff t on t.id = x.tariff_id
where a.removed is null;

create view api_offering with (security_invoker = true) as
select o.id as row_id, o.uuid as id, o.name, o.name as displaytext, o.vcpus as cpunumber,
    o.memory_bytes / 1048576 as memory, o.disk_bytes / 1073741824 as rootdisksize, o.created,
    'local' as storagetype, 'Active' as state, false as issystem, false as defaultuse,
    false as iscustomized, false as isvolatile, false as offerha, false as limitcpuuse
from offering o where o.removed is null;

create view api_template with (security_invoker = true) as
select t.id as row_id, t.account_id, t.uuid as id, t.name, t.name as displaytext,
    upper(coalesce(t.format, 'raw')) as format, 'KVM' as hypervisor, t.kind, true as isready,
    'Download Complete' as status, t.public as ispublic, t.public as isfeatured, false as isextractable,
    true as crosszones, false as passwordenabled, 64 as bits, 'Other (64-bit)' as ostypename,
    'USER' as templatetype, t.size_bytes as size, t.sha256 as checksum, a.name as account, d.name as domain, d.uuid as domainid,
    z.uuid as zoneid, z.name as zonename, '[]'::jsonb as tags, t.created
from template t
left join account a on a.id = t.account_id
left join domain d on d.id = a.domain_id
left join zone z on z.id = (select min(id) from zone)
where t.removed is null
    and (t.public or t.account_id between (select account_low()) and (select account_high()));

create view api_job with (security_invoker = true) as
select j.account_id, j.id as row_id, j.uuid as jobid,
    case j.state when 'succeeded' then 1 when 'failed' then 2 else 0 end as jobstatus,
    0 as jobprocstatus, case j.state when 'failed' then coalesce(j.error_code, 530) else 0 end as jobresultcode,
    'object' as jobresulttype, j.command, j.object_kind, j.object_uuid as jobinstanceid,
    case j.object_kind when 'vm' then 'VirtualMachine' when 'host' then 'Host' else j.object_kind end as jobinstancetype,
    j.step, j.result, j.error_code, j.error_text, j.created, j.finished as completed,
    a.uuid as accountid, a.name as account, u.uuid as userid, d.uuid as domainid, d.path as domainpath
from job j
join account a on a.id = j.account_id
join domain d on d.id = a.domain_id
left join app_user u on u.id = j.user_id;

-- type and name: CloudStack's table of alert types.
create view api_alarm with (security_invoker = true) as
select m.id as row_id, m.uuid as id,
    case m.object_kind when 'host' then 7 when 'vm' then 8 when 'role' then 14 when 'database' then 14 else 13 end as type,
    case m.object_kind when 'host' then 'ALERT.COMPUTE.HOST' when 'vm' then 'ALERT.USERVM'
        when 'role' then 'ALERT.MANAGEMENT' when 'database' then 'ALERT.MANAGEMENT' else 'ALERT.USAGE' end as name,
    m.text as description, m.raised_at as sent, m.rule, m.object_kind as objectkind, m.object_uuid as objectid,
    m.object_name as objectname, m.severity, m.cleared_at as cleared, m.cleared_at is null as active, m.count
from alarm m;

create view api_tariff with (security_invoker = true) as
select t.id as row_id, t.uuid as id, t.name, v.version, v.sha256, v.recorded_at as recorded, t.created,
    (v.document::jsonb)->>'currency' as currency, v.document::jsonb as document,
    coalesce((select jsonb_agg(distinct a.name) from account a
        where t.id = (select x.tariff_id from account_tariff x where x.account_id = a.id
                      and x.valid_from <= now() order by x.valid_from desc limit 1)), '[]') as accounts
from tariff t
join lateral (select * from tariff_version v where v.tariff_id = t.id order by v.version desc limit 1) v on true;

-- The open period of each account, as the rater last wrote it.
create view api_running_bill with (security_invoker = true) as
select a.id as account_id, a.id as row_id, a.uuid as accountid, a.name as account, r.currency,
    r.period_from as periodstart, r.period_to as periodend, r.through as asof,
    r.subtotal::text as subtotal, r.tax::text as tax, r.total::text as total, r.per_hour as perhour, r.unrated,
    t.name as tariffname
from account a
join accrual_run r on r.account_id = a.id
left join lateral (
    select tariff_id from account_tariff x where x.account_id = a.id and x.valid_from <= now()
    order by valid_from desc limit 1
) x on true
left join tariff t on t.id = x.tariff_id
where a.removed is null and r.period_from <= now() and r.period_to > now();

-- CloudStack's usage types as far as they are metered here; intervals are cut to the asked
-- time, counters come in whole windows (never split: that would be a guess).
create function api_usage(since timestamptz, until timestamptz)
returns table (account_id bigint, row_key text, usagetype integer, resource_id bigint, usageid uuid, name text,
    description text, usage text, rawusage text, virtualmachineid uuid, offeringid uuid, templateid uuid,
    zoneid uuid, cpunumber bigint, memory bigint, size bigint, type text, startdate timestamptz,
    enddate timestamptz, simulated boolean)
language sql stable as $$
    with asked as materialized (select since as lo, least(until, now()) as hi),
    span as (
        select l.*, greatest(l.valid_from, lo) as f, least(coalesce(l.valid_to, hi), hi) as t
        from lifetime l, asked
        where l.valid_from < hi and (l.valid_to is null or l.valid_to > lo)
            and l.kind in ('allocated', 'running', 'volume')
    ), hours as (
        select s.*, extract(epoch from t - f)::numeric / 3600 as h,
            case s.kind when 'running' then 1 when 'allocated' then 2 else 6 end as number
        from span s where t > f
    ), flow as (
        select w.account_id, w.resource_id, w.resource_kind, w.vm_id, bool_or(w.simulated) as simulated,
            min(w.window_from) as f, max(w.window_to) as t, sum(net_tx_bytes) as tx, sum(net_rx_bytes) as rx,
            sum(disk_read_requests) as rr, sum(disk_write_requests) as wr,
            sum(disk_read_bytes) as rb, sum(disk_write_bytes) as wb
        from usage_window w, asked
        where w.window_from >= lo and w.window_from < hi and w.window_to <= until
            and w.resource_kind in ('volume', 'nic')
        group by 1, 2, 3, 4
    ), counted as (
        select f.*, k.number, k.amount, k.words
        from flow f cross join lateral (values
            ('nic', 4, f.tx, 'bytes sent'), ('nic', 5, f.rx, 'bytes received'),
            ('volume', 21, f.rr, 'io read'), ('volume', 22, f.wr, 'io write'),
            ('volume', 23, f.rb, 'bytes read'), ('volume', 24, f.wb, 'bytes write')) k(kind, number, amount, words)
        where k.kind = f.resource_kind
    )
    select h.account_id, h.number || '/' || h.resource_id || '/' || h.valid_from, h.number, h.resource_id,
        h.resource_uuid, h.resource_name,
        case h.number when 6 then 'Volume usage for ' || h.resource_name || ' (' || h.resource_uuid || ')'
                || coalesce(' attached to VM ' || v.name || ' (' || v.uuid || ')', '') || ' and size ' || h.size_bytes
            else case h.number when 1 then 'Running' else 'Allocated' end || ' VM usage for ' || h.resource_name
                || ' (' || coalesce(v.instance_name, h.resource_name) || ') (' || h.resource_uuid || ')'
                || coalesce(' using service offering ' || o.name || ' (' || o.uuid || ')', '')
                || coalesce(' and template ' || t.name || ' (' || t.uuid || ')', '') end,
        trim_scale(round(h.h, 6)) || ' Hrs', trim_scale(round(h.h, 6))::text,
        case when h.number = 6 then v.uuid else h.resource_uuid end, o.uuid, t.uuid, z.uuid,
        h.vcpus::bigint, h.memory_bytes / 1048576, h.size_bytes,
        case when h.number = 6 then null else hypervisor_name(m.hypervisor, h.simulated) end, h.f, h.t, h.simulated
    from hours h
    left join vm v on v.account_id = h.account_id
        and v.id = case when h.number = 6 then h.vm_id else h.resource_id end
    left join host_mark m on m.id = h.host_id
    left join zone z on z.id = coalesce(m.zone_id, (select min(id) from zone))
    left join offering o on o.id = h.offering_id
    left join template t on t.id = h.template_id
    union all
    select c.account_id, c.number || '/' || c.resource_id, c.number, c.resource_id,
        coalesce(d.uuid, n.uuid), coalesce(d.name, n.network),
        case c.number when 4 then 'Bytes sent by VM ' when 5 then 'Bytes received by VM '
            when 21 then 'Disk I/O read requests for VM ' when 22 then 'Disk I/O write requests for VM '
            when 23 then 'Disk I/O read bytes for VM ' else 'Disk I/O write bytes for VM ' end
            || v.name || ' (' || v.uuid || ')'
            || coalesce(' and volume ' || d.name || ' (' || d.uuid || ')', ' and nic ' || n.mac, '') || ' ' || c.amount,
        c.amount || ' ' || c.words, c.amount::text, v.uuid, null, null, z.uuid, null, null, d.size_bytes,
        case when c.number in (4, 5) then 'UserVm' else 'VirtualMachine' end, c.f, c.t, c.simulated
    from counted c
    left join vm v on v.account_id = c.account_id and v.id = c.vm_id
    left join volume d on d.account_id = c.account_id and d.id = c.resource_id
    left join nic n on n.account_id = c.account_id and n.id = c.resource_id
    left join zone z on z.id = (select min(id) from zone)
$$;

---------------------------------------------------------------- rights of jeoul_web

grant select on host_mark, api_zone, api_host, api_virtual_machine, api_user, api_account, api_offering,
    api_template, api_job, api_alarm, api_tariff, api_running_bill to jeoul_web;
grant execute on function caller_by_key(text), caller_by_name(text),
    caller_by_session(bytea, interval, boolean), roles_connected() to jeoul_web;
-- The partitions are read through their parent only, where the policy is.
revoke select on usage_window_rest from jeoul_web;
-- Passwords and secret keys are written, never read.
revoke select on app_user from jeoul_web;
grant select (id, uuid, account_id, name, must_change, state, api_key, locale, created, email,
    first_name, last_name) on app_user to jeoul_web;
revoke update on app_user from jeoul_web;
grant update (password_hash, must_change, state, api_key, secret_key, locale, email, first_name,
    last_name) on app_user to jeoul_web;
