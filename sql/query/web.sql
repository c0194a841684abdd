-- Statements of jeoul-web.  Lists: parameters in the order of web/operations.def (those that
-- are not SCOPE), then limit and offset; total_rows counts all pages; columns are fields of
-- web/responses.def.  Whose rows they see is set by scope_set (sql/010-web.sql).

---------------------------------------------------------------- who calls

-- name: caller_by_key
select * from caller_by_key($1);

-- name: caller_by_name
select * from caller_by_name($1);

-- name: caller_by_session
select * from caller_by_session(decode($1, 'hex'), $2::bigint * interval '1 microsecond', $3::boolean);

-- name: session_open
insert into session (token_hash, user_id, csrf_hash, source)
values (decode($1, 'hex'), $2, decode($3, 'hex'), $4);

-- name: session_close
delete from session where token_hash = decode($1, 'hex');

-- name: session_close_others
-- A changed password ends every other log-in of that user.
delete from session where user_id = $1 and ($2::text is null or token_hash <> decode($2, 'hex'));

-- name: session_sweep
delete from session where last_used < now() - $1::bigint * interval '1 microsecond';

-- name: scope_set
select set_config('jeoul.account', $1, true), set_config('jeoul.provider', $2, true);

-- name: event_write
insert into event (account_id, user_id, source, kind, object_uuid, text) values ($1, $2, $3, $4, $5::uuid, $6);

-- name: owner_by_name
select a.id, a.uuid, a.name from account a join domain d on d.id = a.domain_id
where a.name = $1 and ($2::uuid is null or d.uuid = $2::uuid) and a.removed is null order by a.id limit 2;

-- name: owner_by_uuid
select id, uuid, name from account where uuid = $1::uuid and removed is null;

---------------------------------------------------------------- lists

-- name: zone_list
select count(*) over () as total_rows, z.* from api_zone z
where ($1::uuid is null or z.id = $1::uuid) and ($2::text is null or z.name = $2)
  and ($3::text is null or z.name ilike '%' || $3 || '%')
order by z.row_id limit $4 offset $5;

-- name: host_list
select count(*) over () as total_rows, h.* from api_host h
where ($1::uuid is not null or h.removed is null) and ($1::uuid is null or h.id = $1::uuid)
  and ($2::text is null or h.name = $2) and ($3::text is null or lower(h.state) = lower($3))
  and ($4::uuid is null or h.zoneid = $4::uuid) and ($5::text is null or lower(h.type) = lower($5))
  and ($6::text is null or h.name ilike '%' || $6 || '%')
order by h.row_id limit $7 offset $8;

-- name: host_by_uri
select id from api_host where uri = $1 and removed is null;

-- name: vm_list
select count(*) over () as total_rows, v.* from api_virtual_machine v
where ($1::uuid is not null or v.removed is null) and ($1::uuid is null or v.id = $1::uuid)
  and ($2::text is null or v.id = any (string_to_array($2, ',')::uuid[]))
  and ($3::text is null or v.name = $3) and ($4::text is null or lower(v.state) = lower($4))
  and ($5::uuid is null or v.hostid = $5::uuid) and ($6::uuid is null or v.serviceofferingid = $6::uuid)
  and ($7::uuid is null or v.templateid = $7::uuid) and ($8::uuid is null or v.zoneid = $8::uuid)
  and ($9::text is null or v.name ilike '%' || $9 || '%')
order by v.account_id, v.row_id limit $10 offset $11;

-- name: vm_one
select * from api_virtual_machine where id = $1::uuid order by removed is null desc, removed desc limit 1;

-- name: vm_find
select account_id, name, state from vm where uuid = $1::uuid and removed is null;

-- name: account_list
select count(*) over () as total_rows, a.* from api_account a
where ($1::uuid is null or a.id = $1::uuid) and ($2::text is null or a.name = $2)
  and ($3::text is null or a.state = lower($3)) and ($4::integer is null or a.accounttype = $4::integer)
  and ($5::text is null or a.name ilike '%' || $5 || '%')
order by a.row_id limit $6 offset $7;

-- name: account_one
select * from api_account where id = $1::uuid;

-- name: user_list
select count(*) over () as total_rows, u.* from api_user u
where ($1::uuid is null or u.id = $1::uuid) and ($2::text is null or u.username = $2)
  and ($3::text is null or u.state = lower($3))
  and ($4::text is null or u.username ilike '%' || $4 || '%')
order by u.row_id limit $5 offset $6;

-- name: user_one
select * from api_user where id = $1::uuid;

-- name: offering_list
select count(*) over () as total_rows, o.* from api_offering o
where ($1::uuid is null or o.id = $1::uuid) and ($2::text is null or o.name = $2)
  and ($3::boolean is null or o.issystem = $3::boolean)
  and ($4::text is null or o.name ilike '%' || $4 || '%')
order by o.row_id limit $5 offset $6;

-- name: offering_one
select * from api_offering where id = $1::uuid;

-- name: template_list
select count(*) over () as total_rows, t.* from api_template t
where ($1::uuid is null or t.id = $1::uuid) and ($2::text is null or t.name = $2)
  and ($3::text is null or $3 not in ('self', 'selfexecutable')
       or t.account_id between account_low() and account_high())
  and ($4::text is null or t.name ilike '%' || $4 || '%')
order by t.row_id limit $5 offset $6;

-- name: template_one
select * from api_template where id = $1::uuid;

-- name: usage_type_list
select count(*) over () as total_rows, * from (values
    (1, 1, 'RUNNING_VM', 'Running Vm Usage'), (2, 2, 'ALLOCATED_VM', 'Allocated Vm Usage'),
    (4, 4, 'NETWORK_BYTES_SENT', 'Network Usage (Bytes Sent)'),
    (5, 5, 'NETWORK_BYTES_RECEIVED', 'Network Usage (Bytes Received)'), (6, 6, 'VOLUME', 'Volume Usage'),
    (21, 21, 'VM_DISK_IO_READ', 'VM Disk usage(I/O Read)'), (22, 22, 'VM_DISK_IO_WRITE', 'VM Disk usage(I/O Write)'),
    (23, 23, 'VM_DISK_BYTES_READ', 'VM Disk usage(Bytes Read)'),
    (24, 24, 'VM_DISK_BYTES_WRITE', 'VM Disk usage(Bytes Write)')) t(id, usagetypeid, name, description)
order by id limit $1 offset $2;

-- name: usage_list
select count(*) over () as total_rows, u.*, '[]'::jsonb as tags, a.name as account, a.uuid as accountid,
    d.name as domain, d.uuid as domainid, d.path as domainpath
from api_usage($1::timestamptz, $2::timestamptz) u
join account a on a.id = u.account_id join domain d on d.id = a.domain_id
where ($3::integer is null or u.usagetype = $3::integer) and ($4::uuid is null or u.usageid = $4::uuid)
  and ($5::text is null or u.name ilike '%' || $5 || '%')
order by u.account_id, u.usagetype, u.resource_id, u.startdate limit $6 offset $7;

-- name: alarm_list
select count(*) over () as total_rows, m.* from api_alarm m
where ($1::uuid is null or m.id = $1::uuid) and ($2::text is null or m.type::text = $2)
  and ($3::text is null or m.name = $3) and ($4::boolean is null or m.active = $4::boolean)
  and ($5::text is null or m.description ilike '%' || $5 || '%' or m.objectname ilike '%' || $5 || '%')
order by m.row_id desc limit $6 offset $7;

-- name: alarm_find
select cleared_at is null as active from alarm where uuid = $1::uuid;

-- name: alarm_one
select m.* from api_alarm m where m.id = $1::uuid;

-- name: alarm_acknowledge
-- Without a name: taken back.
update alarm set acknowledged_at = case when $2::text is null then null else now() end, acknowledged_by = $2,
    acknowledged_note = $3
where uuid = $1::uuid and cleared_at is null;

-- name: tariff_list
select count(*) over () as total_rows, t.* from api_tariff t
where ($1::uuid is null or t.id = $1::uuid) and ($2::text is null or t.name = $2)
  and ($3::text is null or t.name ilike '%' || $3 || '%')
order by t.row_id limit $4 offset $5;

-- name: tariff_one
select * from api_tariff where id = $1::uuid;

-- name: running_bill_list
select count(*) over () as total_rows, r.* from api_running_bill r
where ($1::text is null or r.account ilike '%' || $1 || '%')
order by r.row_id limit $2 offset $3;

---------------------------------------------------------------- jobs

-- name: job_insert
insert into job (account_id, user_id, command, object_kind, object_uuid, request)
values ($1, $2, $3, $4, coalesce($5::uuid, gen_random_uuid()), $6::jsonb)
returning uuid, object_uuid;

-- name: job_wake
select pg_notify('jeoul_job', $1);

-- name: job_one
select * from api_job where jobid = $1::uuid;

---------------------------------------------------------------- virtual machines

-- name: vm_deploy
-- The row is the wish; jeoul-provision makes it true.
with asked as (
    select gen_random_uuid() as uuid
)
insert into vm (account_id, uuid, name, instance_name, host_id, offering_id, template_id, vcpus, memory_bytes,
    desired, state)
select $1::bigint, k.uuid, coalesce($2::text, 'vm-' || left(k.uuid::text, 8)), 'i-' || $1::bigint || '-' || left(k.uuid::text, 8),
    $6::bigint, o.id, t.id, o.vcpus, o.memory_bytes, case when $5::boolean then 'Running' else 'Stopped' end, 'Starting'
from asked k, offering o, template t
where o.uuid = $3::uuid and o.removed is null and t.uuid = $4::uuid and t.removed is null
    and (t.public or t.account_id between account_low() and account_high())
returning uuid;

-- name: zone_exists
select 1 from zone where uuid = $1::uuid;

-- name: host_find
select id, name from host where uuid = $1::uuid and removed is null;

---------------------------------------------------------------- accounts and users

-- name: domain_find
select id from domain where $1::uuid is null and path = 'ROOT' or uuid = $1::uuid;

-- name: zone_name_known
select 1 from pg_timezone_names where name = $1;

-- name: account_insert
insert into account (domain_id, name, currency, timezone, locale)
values ($1, $2, coalesce($3, 'USD'), coalesce($4, 'UTC'), coalesce($5, 'en'))
returning id, uuid;

-- name: user_insert
insert into app_user (account_id, name, password_hash, email, first_name, last_name, locale)
values ($1, $2, $3, coalesce($4, ''), coalesce($5, ''), coalesce($6, ''), $7);

-- name: user_find
select id, name, account_id from app_user where uuid = $1::uuid;

-- name: user_password
-- Apart from the rest: jeoul_web may write a password, not read one, not even to keep it.
update app_user set password_hash = $2, must_change = $3::boolean where id = $1;

-- name: user_update
update app_user set locale = coalesce($2, locale), email = coalesce($3, email),
    first_name = coalesce($4, first_name), last_name = coalesce($5, last_name)
where id = $1;

-- name: user_keys
update app_user set api_key = $2, secret_key = $3 where uuid = $1::uuid returning id;

---------------------------------------------------------------- offerings, templates, tariffs

-- name: offering_insert
insert into offering (name, vcpus, memory_bytes, disk_bytes)
values ($1, $2, $3::bigint * 1048576, coalesce($4::bigint, 0) * 1073741824) returning uuid;

-- name: template_insert
insert into template (account_id, name, kind, format, path, kernel, initrd, cmdline, size_bytes, sha256, public)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11::boolean, true)) returning uuid;

-- name: tariff_upsert
insert into tariff (name) values ($1) on conflict (name) do nothing;

-- name: tariff_latest
-- Two imports of one name at once: the second fails on the version's key and says so.
select t.id, t.uuid, coalesce(v.version, 0), coalesce(v.sha256 = encode(sha256(convert_to($2, 'UTF8')), 'hex'), false)
from tariff t left join lateral (
    select version, sha256 from tariff_version where tariff_id = t.id order by version desc limit 1) v on true
where t.name = $1;

-- name: tariff_version_insert
insert into tariff_version (tariff_id, version, document, sha256, recorded_by)
values ($1, $2, $3, encode(sha256(convert_to($3, 'UTF8')), 'hex'), $4);

-- name: tariff_find
select id from tariff where uuid = $1::uuid;

-- name: tariff_assign
-- Without an instant: from the start of the account's present month (of a midnight that
-- exists twice it is the first).  Append-only: what is assigned from that very instant stays,
-- and is told.
with month as (
    select a.id, a.timezone as zone, date_trunc('month', now() at time zone a.timezone) as lo
    from account a where a.id = $1::bigint
), wanted as (
    select id, coalesce($2::timestamptz, (lo at time zone zone)
        - case when ((lo at time zone zone) - interval '1 hour') at time zone zone = lo
               then interval '1 hour' else interval '0' end) as since
    from month
), made as (
    insert into account_tariff (account_id, valid_from, tariff_id) select id, since, $3::bigint from wanted
    on conflict (account_id, valid_from) do nothing returning tariff_id
)
select coalesce((select tariff_id from made),
    (select t.tariff_id from account_tariff t, wanted w where t.account_id = w.id and t.valid_from = w.since)),
    since from wanted;

---------------------------------------------------------------- graphs and health

-- name: graph_wanted
-- The meter writes what it still holds in memory of this one.
select pg_notify('jeoul_graph', $1);

-- name: system_status
select now() as now,
    coalesce((select jsonb_agg(to_jsonb(r)) from roles_connected() r), '[]') as roles,
    (select coalesce(jsonb_object_agg(state, n), '{}') from (select state, count(*) as n from api_host
        where removed is null group by 1) h) as hosts,
    (select coalesce(jsonb_object_agg(state, n), '{}') from (select state, count(*) as n from api_virtual_machine
        where removed is null group by 1) v) as virtualmachines,
    (select round(extract(epoch from now() - min(c.last_ok))::numeric, 1)::text from host h
        join host_contact c on c.host_id = h.id where h.removed is null and h.state = 'Up') as meterlag,
    (select max(through) from usage_window where window_from > now() - interval '2 days') as usagethrough,
    (select min(through) from accrual_run where period_from <= now() and period_to > now()) as ratedthrough,
    (select count(*) from alarm where cleared_at is null) as alarms,
    (select count(*) from delivery where state = 'waiting') as undelivered,
    (select count(*) from job where state in ('pending', 'running')) as jobs,
    (select count(*) from host where simulated and removed is null) as simulated;

---------------------------------------------------------------- the first admin (as owner)

-- name: first_admin_find
select u.id, u.uuid, u.api_key, u.secret_key from app_user u join account a on a.id = u.account_id
where a.kind = 'provider' and u.name = 'admin';

-- name: first_admin_insert
insert into app_user (account_id, name, password_hash, must_change, api_key, secret_key, first_name)
select id, 'admin', $1, true, $2, $3, 'admin' from account where kind = 'provider' order by id limit 1
on conflict (name) do nothing;

-- name: first_admin_reset
update app_user set password_hash = $2, must_change = true, state = 'enabled' where id = $1;

-- name: first_admin_keys
update app_user set api_key = $2, secret_key = $3 where id = $1;

-- name: first_admin_sessions_end
delete from session where user_id = $1;
