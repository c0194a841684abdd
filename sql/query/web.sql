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
select count(*) over () as total_rows, h.*, f.allowed and f.room as suitableformigration, f.room as hasenoughcapacity
from api_host h left join host_for_vm f on f.vm_uuid = $6::uuid and f.host_uuid = h.id
where ($1::uuid is not null or h.removed is null) and ($1::uuid is null or h.id = $1::uuid)
  and ($2::text is null or h.name = $2) and ($3::text is null or lower(h.state) = lower($3))
  and ($4::uuid is null or h.zoneid = $4::uuid) and ($5::text is null or lower(h.type) = lower($5))
  and ($6::uuid is null or f.host_uuid is not null)
  and ($7::text is null or h.name ilike '%' || $7 || '%')
order by h.row_id limit $8 offset $9;

-- name: host_for_vm_list
-- Where a VM could go, the best first.
select count(*) over () as total_rows, h.*, f.allowed and f.room as suitableformigration, f.room as hasenoughcapacity,
    f.motion as "requiresStorageMotion"
from host_for_vm f join api_host h on h.id = f.host_uuid
where f.vm_uuid = $1::uuid and ($2::text is null or h.name ilike '%' || $2 || '%')
order by f.allowed and f.room desc, h.memoryallocatable - h.memoryallocated desc, h.row_id limit $3 offset $4;

-- name: collector_list
select count(*) over () as total_rows, c.* from api_collector c
where ($1::text is null or c.name = $1) and ($2::text is null or lower(c.state) = lower($2))
  and ($3::text is null or c.name ilike '%' || $3 || '%')
order by c.row_id limit $4 offset $5;

-- name: host_by_uri
select id from api_host where uri = $1 and removed is null;

-- name: vm_list
select count(*) over () as total_rows, v.* from api_virtual_machine v
where ($1::uuid is not null or v.removed is null or lower($4) = 'destroyed' and v.expunged is null)
  and ($1::uuid is null or v.id = $1::uuid)
  and ($2::text is null or v.id = any (string_to_array($2, ',')::uuid[]))
  and ($3::text is null or v.name = $3) and ($4::text is null or lower(v.state) = lower($4))
  and ($5::uuid is null or v.hostid = $5::uuid) and ($6::uuid is null or v.serviceofferingid = $6::uuid)
  and ($7::uuid is null or v.templateid = $7::uuid) and ($8::uuid is null or v.zoneid = $8::uuid)
  and ($9::text is null or v.name ilike '%' || $9 || '%')
order by v.account_id, v.row_id limit $10 offset $11;

-- name: vm_one
select * from api_virtual_machine where id = $1::uuid order by removed is null desc, removed desc limit 1;

-- name: vm_guest
-- A VM with what the agent in its guest told last, in the guest's own words.
select v.*, g.seen as guestseen, g.error as guesterror, g.facts->>'hostname' as guesthostname,
    coalesce(g.facts->>'osname', g.facts->>'osid') as guestos, g.facts->>'osversion' as guestosversion,
    g.facts->>'kernel' as guestkernel, g.facts->>'machine' as guestmachine,
    g.facts->'filesystems' as guestfilesystems, g.facts->'interfaces' as guestinterfaces
from api_virtual_machine v left join vm_guest g on g.account_id = v.account_id and g.vm_id = v.row_id
where v.id = $1::uuid order by v.removed is null desc, v.removed desc limit 1;

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
    desired, state, ha)
select $1::bigint, k.uuid, coalesce($2::text, 'vm-' || left(k.uuid::text, 8)), 'i-' || $1::bigint || '-' || left(k.uuid::text, 8),
    $6::bigint, o.id, t.id, o.vcpus, o.memory_bytes, case when $5::boolean then 'Running' else 'Stopped' end, 'Starting',
    o.ha
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
insert into offering (name, vcpus, memory_bytes, disk_bytes, host_tags, ha)
values ($1, $2, $3::bigint * 1048576, coalesce($4::bigint, 0) * 1073741824, coalesce($5::text, ''), coalesce($6::boolean, false))
returning uuid;

-- name: template_insert
insert into template (account_id, name, kind, format, path, kernel, initrd, cmdline, size_bytes, sha256, public, url,
    state, display_text, os_type, password_enabled)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11::boolean, true), $12, $13, coalesce($14::text, ''),
    coalesce($15::text, 'Other (64-bit)'), coalesce($16::boolean, false)) returning uuid;

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

-- name: tariff_stored
-- A version of a price list as it was entered, the latest without a number.
select t.uuid, t.name, v.version, v.sha256, v.recorded_at, v.document
from tariff t join tariff_version v on v.tariff_id = t.id
where t.uuid = $1::uuid and ($2::integer is null or v.version = $2::integer)
order by v.version desc limit 1;

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
    select id, coalesce($2::timestamptz, local_instant(lo, zone)) as since
    from month
), made as (
    insert into account_tariff (account_id, valid_from, tariff_id) select id, since, $3::bigint from wanted
    on conflict (account_id, valid_from) do nothing returning tariff_id
)
select coalesce((select tariff_id from made),
    (select t.tariff_id from account_tariff t, wanted w where t.account_id = w.id and t.valid_from = w.since)),
    since from wanted;

---------------------------------------------------------------- usage from outside

-- name: usage_meter_list
select count(*) over () as total_rows, m.* from usage_meter m
where ($1::text is null or m.sku = $1) and ($2::text is null or m.sku ilike '%' || $2 || '%')
order by m.sku collate "C" limit $3 offset $4;

-- name: usage_meter_insert
insert into usage_meter (sku, unit, kind, description, created_by) values ($1, $2, $3, coalesce($4, ''), $5)
on conflict do nothing;

-- name: usage_meter_levels
select sku, kind = 'level' from usage_meter;

-- name: usage_meter_one
select * from usage_meter where sku = $1;

-- name: usage_right_put
insert into usage_right (user_id, source) values ($1, $2) on conflict do nothing;

-- name: usage_right_drop
delete from usage_right where user_id = $1 and source = $2;

-- name: usage_right_user
select u.id as userid, u.username, u.account, (select coalesce(jsonb_agg(r.source order by r.source), '[]')
    from usage_right r where r.user_id = u.row_id) as sources
from api_user u where u.id = $1::uuid;

-- name: usage_right_list
select source from usage_right where user_id = $1 order by source;

-- name: usage_import_list
select count(*) over () as total_rows, i.* from api_usage_import i
where ($1::timestamptz is null or i.used_from >= $1::timestamptz or i.kind = 'level' and (i.used_to is null or i.used_to > $1::timestamptz))
  and ($2::timestamptz is null or i.used_from < $2::timestamptz)
  and ($3::text is null or i.sku = $3) and ($4::text is null or i.source = $4) and ($5::text is null or i.id = $5)
  and ($6::uuid is null or i.resourceid = $6::uuid) and ($7::text is null or i.state = $7)
  and ($8::text is null or i.resourcename ilike '%' || $8 || '%')
order by i.account_id, i.used_from, i.source collate "C", i.id collate "C" limit $9 offset $10;

-- name: usage_import_check
-- What is known of the things that records name: how many accounts the name fits, the account,
-- from when on it can be billed (its first period, or the month it was made in), and whether at that time still: not after its removal, and not
-- in a closed period that the statement after next looks at no more ($2 microseconds after its
-- end); then its meter, whether the record came before, and whether its resource is a thing that
-- the account has or had here.
with asked as materialized (
    select n, source, record, account, sku, used_from,
        case when resource ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then resource::uuid end as thing
    from jsonb_to_recordset($1::jsonb) as r (n integer, source text, record text, account text, sku text, resource text,
        used_from timestamptz)
), names as (
    select distinct account as name, account ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' as by_uuid from asked
), fits as (
    select t.name, a.id, a.created, a.removed, a.timezone from names t join account a on t.by_uuid and a.uuid::text = lower(t.name)
    union all
    select t.name, a.id, a.created, a.removed, a.timezone from names t join account a on not t.by_uuid and a.name = t.name and a.removed is null
), found as (
    select name, count(*) as fit, min(id) as id, min(created) as created, min(removed) as removed, min(timezone) as zone
    from fits group by name
), billed as (
    select f.*, coalesce(p.begins, case when t.anchor is not null or t.months > 1 then f.created
            else date_trunc('month', f.created at time zone f.zone) at time zone f.zone end) as begins,
        coalesce(p.due, case when f.removed is null then now() + interval '32 days' else 'infinity' end) as due
    from found f left join billing_terms t on t.account_id = f.id left join lateral (
        select min(starts) as begins, min(due) filter (where closed_at is null) as due
        from api_billing_period where account_id = f.id
    ) p on true
)
select coalesce(f.fit, 0), f.id, to_char(f.begins at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), r.used_from < f.begins,
    coalesce(r.used_from >= f.removed, false),
    exists (select from billing_period p where p.account_id = f.id and p.starts <= r.used_from and p.ends > r.used_from
        and p.closed_at is not null and p.ends <= f.due - $2::bigint * interval '1 microsecond'),
    m.unit, m.kind, k.record is not null,
    r.thing is not null and exists (select from lifetime l where l.account_id = f.id and l.resource_uuid = r.thing)
from asked r
left join billed f on f.name = r.account
left join usage_meter m on m.sku = r.sku
left join usage_import_key k on k.source = r.source and k.record = r.record
order by r.n;

-- name: usage_import_keys
-- In order, so that two batches that share keys wait for each other and don't lock up.
insert into usage_import_key (source, record, account_id)
select distinct on (source collate "C", record collate "C") source, record, account_id
from jsonb_to_recordset($1::jsonb) as r (n integer, source text, record text, account_id bigint)
order by source collate "C", record collate "C", n
on conflict do nothing;

-- name: usage_import_put
-- A thing's uuid on bills: its own if that is what was given, made of account and name else.
insert into usage_import (account_id, source, record, sku, unit, kind, used_from, used_to, quantity, seq, resource,
    resource_uuid, resource_name, tags, corrects, user_id)
select r.account_id, r.source, r.record, r.sku, r.unit, r.kind, r.used_from, r.used_to, r.quantity, r.seq, r.resource,
    case when r.resource is null then a.uuid
        when r.resource ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then r.resource::uuid
        else md5(a.uuid || '/' || r.resource)::uuid end,
    coalesce(r.resource_name, r.resource, a.name), r.tags, r.corrects, $2::bigint
from jsonb_to_recordset($1::jsonb) as r (n integer, account_id bigint, source text, record text, sku text, unit text,
    kind text, used_from timestamptz, used_to timestamptz, quantity numeric, seq bigint, resource text, resource_name text,
    tags jsonb, corrects text)
join account a on a.id = r.account_id
join usage_import_key k on k.source = r.source and k.record = r.record and k.account_id = r.account_id
order by r.account_id, r.source collate "C", r.record collate "C", r.n
on conflict do nothing;

-- name: usage_import_differ
-- The first record that did not become, or is not, the row of its key, and why: the key went to
-- another account; its record was corrected by another already; it has other content; what it
-- corrects, or what corrects it, has no lower, or higher, seq.
with asked as materialized (
    select r.*, first_value(n) over (partition by source, record order by n) as first_n
    from jsonb_to_recordset($1::jsonb) as r (n integer, account_id bigint, source text, record text, sku text, unit text,
        kind text, used_from timestamptz, used_to timestamptz, quantity numeric, seq bigint, resource text,
        resource_name text, tags jsonb, corrects text)
), beside as (
    select r.n, r.first_n, k.account_id <> r.account_id as elsewhere, i.received_at, c.record as other,
        concat_ws(', ', case when i.sku <> r.sku then 'sku' end, case when i.unit <> r.unit then 'unit' end,
            case when i.kind <> r.kind then case r.kind when 'amount' then 'at' else 'from' end
                when i.used_from <> r.used_from then case r.kind when 'amount' then 'at' else 'from' end end,
            case when i.used_to is distinct from r.used_to then 'to' end,
            case when i.quantity <> r.quantity then 'quantity ' || i.quantity end,
            case when i.seq <> r.seq then 'seq' end,
            case when i.resource is distinct from r.resource then 'resource' end,
            case when r.resource_name is not null and i.resource_name <> r.resource_name
                or r.resource_name is null and i.resource_name <> coalesce(r.resource, i.resource_name) then 'resource_name' end,
            case when i.tags <> r.tags then 'tags' end,
            case when i.corrects is distinct from r.corrects then 'corrects' end) as differs,
        coalesce(o.seq >= r.seq, false) as not_above, o.seq as seq_before,
        coalesce(l.seq <= r.seq, false) as not_below, l.record as later
    from asked r
    join usage_import_key k on k.source = r.source and k.record = r.record
    left join usage_import i on i.account_id = r.account_id and i.source = r.source and i.record = r.record
    left join usage_import c on i.record is null and c.account_id = r.account_id and c.source = r.source and c.corrects = r.corrects
    left join usage_import o on o.account_id = r.account_id and o.source = r.source and o.record = r.corrects
    left join usage_import l on l.account_id = r.account_id and l.source = r.source and l.corrects = r.record
)
select n, first_n, elsewhere, received_at, other, differs, not_above, seq_before, not_below, later from beside
where elsewhere or other is not null or differs <> '' or not_above or not_below
order by n limit 1;

---------------------------------------------------------------- gaps in metering

-- name: gap_list
select count(*) over () as total_rows, g.* from api_gap g
where ($1::uuid is null or g.id = $1::uuid) and ($2::boolean is null or (g.state = 'open') = $2::boolean)
  and ($3::uuid is null or g.resourceid = $3::uuid or g.virtualmachineid = $3::uuid)
  and ($4::timestamptz is null or g.enddate > $4::timestamptz) and ($5::timestamptz is null or g.startdate < $5::timestamptz)
  and ($6::text is null or g.resourcename ilike '%' || $6 || '%' or g.virtualmachinename ilike '%' || $6 || '%')
order by g.gap_from desc, g.account_id, g.id limit $7 offset $8;

-- name: gap_one
select * from api_gap where id = $1::uuid;

-- name: gap_find
-- A gap, what was said of it, and what was said of one sku ($2; null: that nothing was used) before.
select g.account_id, g.resource_id, g.gap_from, g.gap_to, (extract(epoch from g.gap_from) * 1000000)::bigint,
    (extract(epoch from g.gap_to) * 1000000)::bigint, a.uuid, g.volume, g.vm_id, g.vm_uuid, g.vm_name,
    (select count(*) from meter_gap_act c where c.account_id = g.account_id and c.resource_id = g.resource_id
        and c.gap_from = g.gap_from),
    exists (select from meter_gap_act c where c.account_id = g.account_id and c.resource_id = g.resource_id
        and c.gap_from = g.gap_from and c.verdict = 'nothing'),
    o.number is not null, o.user_name, o.made_at, o.reason, o.record, i.quantity::text, i.unit,
    (extract(epoch from i.used_from) * 1000000)::bigint
from meter_gap_thing g
join account a on a.id = g.account_id
left join meter_gap_act o on o.account_id = g.account_id and o.resource_id = g.resource_id and o.gap_from = g.gap_from
    and o.sku is not distinct from $2
left join usage_import i on i.account_id = o.account_id and i.source = 'jeoul.gap' and i.record = o.record
where g.uuid = $1::uuid;

-- name: gap_room
-- The CPU seconds that a VM can have used in a gap [$3, $4), and between the readings around it: the
-- last one before the first window that touches the gap, and the last one in these windows; what was
-- counted and told of that time already; whether there is room for $6 in each.
with run as (
    select valid_from as since, coalesce(valid_to, 'infinity') as until, vcpus from lifetime
    where account_id = $1 and resource_id = $2 and kind = 'running'
), touched as (
    select min(window_from) as since, max(through) as until, sum(vcpu_ns) as ns from usage_window
    where account_id = $1 and resource_id = $2 and window_from > $3::timestamptz - interval '2 days'
        and window_from < $4::timestamptz and window_to > $3::timestamptz
), around as (
    select coalesce((select max(w.through) from usage_window w where w.account_id = $1 and w.resource_id = $2
            and w.window_from > t.since - interval '62 days' and w.window_to <= t.since), '-infinity') as since,
        greatest(t.until, $4::timestamptz) as until, coalesce(t.ns, 0) / 1000000000.0 as counted
    from touched t
), told as (
    select coalesce(sum(i.quantity), 0) as quantity from usage_import_state i, around n
    where i.account_id = $1 and i.sku = 'cpu.time' and i.kind = 'amount' and i.state = 'current' and i.resource_uuid = $5::uuid
        and i.used_from > n.since and i.used_from <= n.until
), room as (
    select coalesce(sum(r.vcpus * extract(epoch from least(r.until, $4::timestamptz) - greatest(r.since, $3::timestamptz)))
            filter (where r.since < $4::timestamptz and r.until > $3::timestamptz), 0) as inside,
        coalesce(sum(r.vcpus * extract(epoch from least(r.until, n.until) - greatest(r.since, n.since)))
            filter (where r.since < n.until and r.until > n.since), 0) as outside
    from around n left join run r on true group by n.since
)
select trim_scale(m.inside)::text, trim_scale(m.outside)::text, trim_scale(n.counted)::text, trim_scale(t.quantity)::text,
    n.since, n.until, $6::numeric <= m.inside, $6::numeric + n.counted + t.quantity <= m.outside
from room m, around n, told t;

-- name: gap_same
select $1::numeric = $2::numeric;

-- name: gap_act
insert into meter_gap_act (account_id, resource_id, gap_from, number, verdict, sku, record, reason, user_id, user_name)
values ($1, $2, $3::timestamptz, $4::integer, case when $5::text is null then 'nothing' else 'used' end, $5::text, $6, $7, $8, $9)
on conflict do nothing;

---------------------------------------------------------------- graphs and health

-- name: graph_wanted
-- The meter writes what it still holds in memory of this one.
select pg_notify('jeoul_graph', $1);

-- name: graph_place
-- Whose collector draws it.
select collector, machine from graph_place($1::boolean, $2::uuid);

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
    (select coalesce(jsonb_object_agg(state, n), '{}') from (select state, count(*) as n from api_collector group by 1) c) as collectors,
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

---------------------------------------------------------------- disks, images, snapshots (web/cloud_*.c)

-- Targets of jobs: whose, the object that the job works on, and its kind.  A job on an attached
-- disk works on its VM.

-- name: vm_target
select account_id, uuid, 'vm' from vm where uuid = $1::uuid and removed is null;

-- name: vm_target_in_bin
select account_id, uuid, 'vm' from vm where uuid = $1::uuid and expunged is null;

-- name: volume_target
select d.account_id, coalesce(v.uuid, d.uuid), case when v.uuid is null then 'volume' else 'vm' end, d.size_bytes
from volume d left join vm v on v.account_id = d.account_id and v.id = d.vm_id and v.removed is null
where d.uuid = $1::uuid and d.removed is null;

-- name: snapshot_target
select account_id, uuid, 'snapshot' from snapshot where uuid = $1::uuid and removed is null;

-- name: snapshot_volume_target
select s.account_id, coalesce(v.uuid, d.uuid), case when v.uuid is null then 'volume' else 'vm' end
from snapshot s join volume d on d.account_id = s.account_id and d.id = s.volume_id and d.removed is null
left join vm v on v.account_id = d.account_id and v.id = d.vm_id and v.removed is null
where s.uuid = $1::uuid and s.removed is null;

-- name: vm_snapshot_target
select s.account_id, v.uuid, 'vm' from vm_snapshot s
join vm v on v.account_id = s.account_id and v.id = s.vm_id and v.removed is null
where s.uuid = $1::uuid and s.removed is null;

-- name: template_target
-- Changing is for its owner and the provider, whoever may see it.
select account_id, uuid, 'template' from template
where uuid = $1::uuid and removed is null and account_id between account_low() and account_high();

-- name: iso_seen
select 1 from api_iso where id = $1::uuid;

-- name: network_seen
select 1 from network where uuid = $1::uuid and removed is null;

-- name: volume_list
select count(*) over () as total_rows, d.* from api_volume d
where ($1::uuid is not null or d.removed is null) and ($1::uuid is null or d.id = $1::uuid)
  and ($2::text is null or d.id = any (string_to_array($2, ',')::uuid[]))
  and ($3::text is null or d.name = $3) and ($4::text is null or d.type = upper($4))
  and ($5::text is null or lower(d.state) = lower($5)) and ($6::uuid is null or d.virtualmachineid = $6::uuid)
  and ($7::uuid is null or d.diskofferingid = $7::uuid) and ($8::uuid is null or d.zoneid = $8::uuid)
  and ($9::text is null or d.name ilike '%' || $9 || '%')
order by d.account_id, d.row_id limit $10 offset $11;

-- name: volume_one
select * from api_volume where id = $1::uuid;

-- name: volume_insert
insert into volume (account_id, uuid, name, kind, offering_id, size_bytes, state, snapshot_id)
select $1::bigint, k.uuid, coalesce($2::text, 'DATA-' || left(k.uuid::text, 8)), 'data', $3::bigint, $4::bigint,
    case when $5::bigint is null then 'Allocated' else 'Creating' end, $5::bigint
from (select gen_random_uuid() as uuid) k
returning uuid;

-- name: volume_rename
update volume set name = $2 where uuid = $1::uuid and removed is null;

-- name: disk_offering_list
select count(*) over () as total_rows, o.* from api_disk_offering o
where ($1::uuid is null or o.id = $1::uuid) and ($2::text is null or o.name = $2)
  and ($3::text is null or o.name ilike '%' || $3 || '%')
order by o.row_id limit $4 offset $5;

-- name: disk_offering_one
select * from api_disk_offering where id = $1::uuid;

-- name: disk_offering_find
select id, size_bytes from disk_offering where uuid = $1::uuid and removed is null;

-- name: disk_offering_insert
insert into disk_offering (name, size_bytes) values ($1, $2::bigint * 1073741824) returning uuid;

-- name: disk_offering_remove
update disk_offering set removed = now() where uuid = $1::uuid and removed is null;

-- name: snapshot_list
select count(*) over () as total_rows, s.* from api_snapshot s
where ($1::uuid is not null or s.removed is null) and ($1::uuid is null or s.id = $1::uuid)
  and ($2::text is null or s.name = $2) and ($3::uuid is null or s.volumeid = $3::uuid)
  and ($4::text is null or s.snapshottype = upper($4)) and ($5::text is null or s.intervaltype = upper($5))
  and ($6::text is null or s.name ilike '%' || $6 || '%')
order by s.account_id, s.row_id limit $7 offset $8;

-- name: snapshot_one
select * from api_snapshot where id = $1::uuid;

-- name: snapshot_find
select id, size_bytes, state from snapshot where uuid = $1::uuid and removed is null;

-- name: snapshot_insert
insert into snapshot (account_id, uuid, volume_id, volume_uuid, name, size_bytes)
select d.account_id, k.uuid, d.id, d.uuid, coalesce($2::text, left(d.name, 150) || '-' || to_char(now(), 'YYYYMMDDHH24MISS')),
    d.size_bytes
from volume d, (select gen_random_uuid() as uuid) k where d.uuid = $1::uuid and d.removed is null
returning uuid;

-- name: vm_snapshot_list
select count(*) over () as total_rows, s.* from api_vm_snapshot s
where s.removed is null and ($1::uuid is null or s.id = $1::uuid) and ($2::uuid is null or s.virtualmachineid = $2::uuid)
  and ($3::text is null or s.name = $3) and ($4::text is null or lower(s.state) = lower($4))
  and ($5::text is null or s.name ilike '%' || $5 || '%')
order by s.account_id, s.row_id limit $6 offset $7;

-- name: vm_snapshot_one
select * from api_vm_snapshot where id = $1::uuid;

-- name: vm_snapshot_insert
insert into vm_snapshot (account_id, uuid, vm_id, name, description, memory)
select v.account_id, k.uuid, v.id, coalesce($2::text, v.instance_name || '_VS_' || to_char(now(), 'YYYYMMDDHH24MISS')),
    coalesce($3::text, ''), coalesce($4::boolean, false)
from vm v, (select gen_random_uuid() as uuid) k where v.uuid = $1::uuid and v.removed is null
returning uuid;

-- name: iso_list
select count(*) over () as total_rows, t.* from api_iso t
where ($1::uuid is null or t.id = $1::uuid) and ($2::text is null or t.name = $2)
  and ($3::text is null or $3 not in ('self', 'selfexecutable') or t.account_id between account_low() and account_high())
  and ($4::boolean is null or t.isready = $4::boolean) and ($5::boolean is null or t.bootable = $5::boolean)
  and ($6::text is null or t.name ilike '%' || $6 || '%')
order by t.row_id limit $7 offset $8;

-- name: iso_one
select * from api_iso where id = $1::uuid;

-- name: image_insert
-- An image that is fetched or copied by a job.
insert into template (account_id, name, display_text, kind, format, path, url, size_bytes, sha256, public, bootable, os_type,
    state, source_uuid, password_enabled)
values ($1::bigint, $2, coalesce($3::text, ''), $4, $5, $6, $7, 0, $8, coalesce($9::boolean, false), coalesce($10::boolean, true),
    coalesce($11::text, 'Other (64-bit)'), $12, $13::uuid, coalesce($14::boolean, false))
returning uuid;

-- name: image_update
update template set name = coalesce($2::text, name), display_text = coalesce($3::text, display_text),
    public = coalesce($4::boolean, public), featured = coalesce($5::boolean, featured), bootable = coalesce($6::boolean, bootable),
    password_enabled = coalesce($7::boolean, password_enabled)
where uuid = $1::uuid and removed is null and account_id between account_low() and account_high();

-- name: network_list
select count(*) over () as total_rows, w.* from api_network w
where w.removed is null and ($1::uuid is null or w.id = $1::uuid) and ($2::text is null or w.name = $2)
  and ($3::text is null or lower(w.type) = lower($3)) and ($4::uuid is null or w.zoneid = $4::uuid)
  and ($5::text is null or w.name ilike '%' || $5 || '%')
order by w.account_id, w.row_id limit $6 offset $7;

-- name: nic_list
select count(*) over () as total_rows, n.* from api_nic n
where n.virtualmachineid = $1::uuid and ($2::uuid is null or n.id = $2::uuid) and ($3::uuid is null or n.networkid = $3::uuid)
  and ($4::text is null or n.networkname ilike '%' || $4 || '%')
order by n.row_id limit $5 offset $6;

-- name: tag_list
select count(*) over () as total_rows, t.* from api_tag t
where ($1::text is null or t.key = $1) and ($2::text is null or t.value = $2) and ($3::uuid is null or t.resourceid = $3::uuid)
  and ($4::text is null or lower(t.resourcetype) = lower($4)) and ($5::text is null or t.key ilike '%' || $5 || '%')
order by t.account_id, t.row_id limit $6 offset $7;

-- name: tag_owner
-- Whose a thing is that a tag is pinned on.
select account_id, kind from (
    select account_id, 'vm' as kind from vm where uuid = $1::uuid and removed is null
    union all select account_id, 'volume' from volume where uuid = $1::uuid and removed is null
    union all select account_id, 'snapshot' from snapshot where uuid = $1::uuid and removed is null
    union all select account_id, 'template' from template where uuid = $1::uuid and removed is null
        and account_id between account_low() and account_high()
    union all select account_id, 'network' from network where uuid = $1::uuid and removed is null
        and account_id between account_low() and account_high()) x limit 1;

-- name: tag_put
insert into tag (account_id, resource_kind, resource_uuid, key, value) values ($1::bigint, $2, $3::uuid, $4, $5)
on conflict (account_id, resource_uuid, key) do update set value = excluded.value;

-- name: tag_delete
delete from tag where resource_uuid = $1::uuid and ($2::text is null or key = $2) and ($3::text is null or value = $3);

-- name: key_pair_list
select count(*) over () as total_rows, k.* from api_key_pair k
where ($1::uuid is null or k.id = $1::uuid) and ($2::text is null or k.name = $2) and ($3::text is null or k.fingerprint = $3)
  and ($4::text is null or k.name ilike '%' || $4 || '%')
order by k.account_id, k.row_id limit $5 offset $6;

-- name: key_pair_insert
insert into key_pair (account_id, name, fingerprint, public_key) values ($1::bigint, $2, $3, $4) returning uuid;

-- name: key_pair_one
select * from api_key_pair where id = $1::uuid;

-- name: key_pair_delete
delete from key_pair where account_id = $1::bigint and name = $2;

-- name: key_pair_keys
-- The public halves of several, one a line; null when one of them is missing.
select string_agg(k.public_key, E'\n' order by n.place), count(*) = count(k.id) as complete
from unnest(string_to_array($2, ',')) with ordinality n(name, place)
left join key_pair k on k.account_id = $1::bigint and k.name = n.name;

-- name: vm_root_insert
-- As large as was asked for, or as its offering says, at least as its image; none where all say nothing.
insert into volume (account_id, uuid, vm_id, name, file, target, kind, size_bytes, state)
select v.account_id, gen_random_uuid(), v.id, v.uuid || '-root', v.uuid || '-root', 'vda', 'root', s.bytes, 'Creating'
from vm v join offering o on o.id = v.offering_id join template t on t.id = v.template_id
cross join lateral (select greatest(coalesce($2::bigint, o.disk_bytes), case when t.kind = 'disk' then t.size_bytes else 0 end)
    as bytes) s
where v.uuid = $1::uuid and v.removed is null and s.bytes > 0
returning uuid;

-- name: vm_data_insert
insert into volume (account_id, uuid, vm_id, name, target, kind, offering_id, size_bytes, state)
select v.account_id, k.uuid, v.id, 'DATA-' || left(k.uuid::text, 8), 'vdb', 'data', $2::bigint, $3::bigint, 'Creating'
from vm v, (select gen_random_uuid() as uuid) k where v.uuid = $1::uuid and v.removed is null;

-- name: vm_card_insert
-- Its hardware address is three bytes of the card's own uuid after QEMU's three; the device on
-- the host is named by it, so that the collector knows the card.
insert into nic (account_id, uuid, vm_id, mac, network, network_id, target, is_default)
select v.account_id, k.uuid, v.id, '52:54:00:' || substr(k.uuid::text, 1, 2) || ':' || substr(k.uuid::text, 3, 2) || ':'
        || substr(k.uuid::text, 5, 2), w.libvirt_name, w.id, 'jn525400' || left(k.uuid::text, 6),
    not exists (select from nic x where x.account_id = v.account_id and x.vm_id = v.id and x.removed is null)
from vm v, network w, (select gen_random_uuid() as uuid) k
where v.uuid = $1::uuid and v.removed is null and w.uuid = $2::uuid and w.removed is null;

-- name: vm_card_default
insert into nic (account_id, uuid, vm_id, mac, network, network_id, target, is_default)
select v.account_id, k.uuid, v.id, '52:54:00:' || substr(k.uuid::text, 1, 2) || ':' || substr(k.uuid::text, 3, 2) || ':'
        || substr(k.uuid::text, 5, 2), w.libvirt_name, w.id, 'jn525400' || left(k.uuid::text, 6), true
from vm v, (select * from network where shared and libvirt_name = 'default' and removed is null limit 1) w,
    (select gen_random_uuid() as uuid) k
where v.uuid = $1::uuid and v.removed is null;

-- name: vm_want
-- The size that is being made true counts already.
update vm v set next_vcpus = o.vcpus, next_memory_bytes = o.memory_bytes
from offering o where v.uuid = $1::uuid and v.removed is null and o.uuid = $2::uuid;

-- name: volume_want
update volume set wanted_bytes = $2::bigint where uuid = $1::uuid and removed is null;

-- name: limits_keep
select limits_keep($1::bigint, $2::text[]);

-- name: project_scope
-- The account of a project: of any for the provider (caller null), of those that it is a member of for others.
select case when $2::bigint is null then (select account_id from project where uuid = $1::uuid and removed is null)
    else project_account($1::uuid, $2::bigint) end;

-- name: vm_seed
update vm set user_data = coalesce($2::text, user_data), public_keys = coalesce($3::text, public_keys),
    password_hash = coalesce($4::text, password_hash), cmdline = coalesce($5::text, cmdline), seed = seed + $6::integer
where uuid = $1::uuid and removed is null;

-- name: vm_update
update vm set name = coalesce($2::text, name), ha = coalesce($3::boolean, ha), user_data = coalesce($4::text, user_data)
where uuid = $1::uuid and removed is null;

-- name: job_take_result
-- Read once: what a job brought is not kept.
with taken as (select id, result from job where uuid = $1::uuid for update)
update job j set result = null from taken t where j.id = t.id returning t.result;

---------------------------------------------------------------- inventory (web/cloud_host.c)

-- name: pod_list
select count(*) over () as total_rows, p.* from api_pod p
where p.removed is null and ($1::uuid is null or p.id = $1::uuid) and ($2::text is null or p.name = $2)
  and ($3::uuid is null or p.zoneid = $3::uuid) and ($4::text is null or p.name ilike '%' || $4 || '%')
order by p.row_id limit $5 offset $6;

-- name: pod_one
select * from api_pod where id = $1::uuid;

-- name: pod_insert
insert into pod (zone_id, name) select id, $1 from zone where $2::uuid is null or uuid = $2::uuid order by id limit 1 returning uuid;

-- name: pod_remove
update pod p set removed = now() where p.uuid = $1::uuid and p.removed is null
    and not exists (select from cluster k where k.pod_id = p.id and k.removed is null);

-- name: zone_insert
with z as (insert into zone (name) values ($1) returning id, uuid),
    p as (insert into pod (zone_id, name) select id, 'pod1' from z returning id),
    k as (insert into cluster (pod_id, name) select id, 'cluster1' from p)
select uuid from z;

-- name: zone_one
select * from api_zone where id = $1::uuid;

-- name: cluster_list
select count(*) over () as total_rows, k.* from api_cluster k
where k.removed is null and ($1::uuid is null or k.id = $1::uuid) and ($2::text is null or k.name = $2)
  and ($3::uuid is null or k.podid = $3::uuid) and ($4::uuid is null or k.zoneid = $4::uuid)
  and ($5::text is null or k.name ilike '%' || $5 || '%')
order by k.row_id limit $6 offset $7;

-- name: cluster_one
select * from api_cluster where id = $1::uuid;

-- name: cluster_insert
insert into cluster (pod_id, name, cpu_overcommit, memory_overcommit)
select id, $1, coalesce($3::numeric, 16), coalesce($4::numeric, 1) from pod
where removed is null and ($2::uuid is null or uuid = $2::uuid) order by id limit 1 returning uuid;

-- name: cluster_update
-- What its hosts may promise follows.
with k as (
    update cluster set name = coalesce($2::text, name), cpu_overcommit = coalesce($3::numeric, cpu_overcommit),
        memory_overcommit = coalesce($4::numeric, memory_overcommit), enabled = coalesce($5::boolean, enabled)
    where uuid = $1::uuid and removed is null returning id, cpu_overcommit, memory_overcommit
), rooms as (
    update host h set vcpus_room = floor(coalesce(h.threads, 0) * k.cpu_overcommit),
        memory_room = greatest(0, floor(coalesce(h.memory_bytes, 0) * k.memory_overcommit) - h.reserved_bytes)
    from k where h.cluster_id = k.id
)
select id from k;

-- name: cluster_remove
update cluster k set removed = now() where k.uuid = $1::uuid and k.removed is null
    and not exists (select from host h where h.cluster_id = k.id and h.removed is null);

-- name: host_update
update host h set name = coalesce($2::text, h.name),
    resource_state = case when $3::boolean is null then h.resource_state when $3::boolean then 'Enabled' else 'Disabled' end,
    tags = coalesce($4::text, h.tags), ha_only = coalesce($5::boolean, h.ha_only),
    reserved_bytes = coalesce($6::bigint * 1048576, h.reserved_bytes),
    memory_room = greatest(0, floor(coalesce(h.memory_bytes, 0) * k.memory_overcommit)
        - coalesce($6::bigint * 1048576, h.reserved_bytes)),
    migrate_uri = case when $7::text is null then h.migrate_uri else nullif($7, '') end
from cluster k where k.id = h.cluster_id and h.uuid = $1::uuid and h.removed is null
    and ($3::boolean is null or h.resource_state in ('Enabled', 'Disabled'));

-- name: host_target
select account_id, uuid, 'host' from host where uuid = $1::uuid and removed is null;

-- name: host_one
select * from api_host where id = $1::uuid;

-- name: host_history_list
select count(*) over () as total_rows, y.* from api_host_history y
where ($1::uuid is null or y.hostid = $1::uuid) and ($2::text is null or y.hostname ilike '%' || $2 || '%')
order by y.hostname, y.startdate limit $3 offset $4;

-- name: host_dedicate
update host set dedicated_domain = $2::bigint, dedicated_account = $3::bigint where uuid = $1::uuid and removed is null;

-- name: cluster_dedicate
update cluster set dedicated_domain = $2::bigint, dedicated_account = $3::bigint where uuid = $1::uuid and removed is null;

-- name: capacity_list
select count(*) over () as total_rows, c.* from api_capacity c
where ($1::integer is null or c.type = $1::integer) and ($2::uuid is null or c.zoneid = $2::uuid)
  and ($3::uuid is null or c.podid = $3::uuid) and ($4::uuid is null or c.clusterid = $4::uuid)
  and ($5::text is null or c.zonename ilike '%' || $5 || '%')
order by c.zone_row, c.podname, c.clustername, c.type limit $6 offset $7;

-- name: place_ids
-- Numbers of a zone, pod and cluster by their uuids.
select (select id from zone where uuid = $1::uuid), (select id from pod where uuid = $2::uuid and removed is null),
    (select id from cluster where uuid = $3::uuid and removed is null);

-- name: affinity_list
select count(*) over () as total_rows, g.* from api_affinity_group g
where ($1::uuid is null or g.id = $1::uuid) and ($2::text is null or g.name = $2) and ($3::text is null or g.type = $3)
  and ($4::uuid is null or g."virtualmachineIds" ? $4::text)
  and ($5::text is null or g.name ilike '%' || $5 || '%')
order by g.account_id, g.row_id limit $6 offset $7;

-- name: affinity_one
select * from api_affinity_group where id = $1::uuid;

-- name: affinity_type_list
select count(*) over () as total_rows, t.type from (values ('host affinity'), ('host anti-affinity'),
    ('non-strict host affinity'), ('non-strict host anti-affinity')) t(type)
where $1::text is null or t.type ilike '%' || $1 || '%' order by t.type limit $2 offset $3;

-- name: affinity_insert
insert into affinity_group (account_id, name, kind, description) values ($1::bigint, $2, $3, coalesce($4::text, '')) returning uuid;

-- name: affinity_delete
with members as (delete from affinity_member m using affinity_group g
    where g.uuid = $1::uuid and m.account_id = g.account_id and m.group_id = g.id)
delete from affinity_group where uuid = $1::uuid;

-- name: affinity_put
-- Into the groups of these ids or names, of the VM's own account; how many there were.
with v as (select account_id, id from vm where uuid = $1::uuid and removed is null),
    g as (select g.account_id, g.id from affinity_group g, v where g.account_id = v.account_id
        and (g.uuid = any (string_to_array($2, ',')::uuid[]) or g.name = any (string_to_array($3, ',')))),
    put as (insert into affinity_member (account_id, group_id, vm_id) select g.account_id, g.id, v.id from g, v
        on conflict do nothing)
select count(*) from g;

-- name: affinity_leave
delete from affinity_member m using vm v where v.uuid = $1::uuid and v.removed is null
    and m.account_id = v.account_id and m.vm_id = v.id;

---------------------------------------------------------------- tenancy (web/cloud_tenancy.c)

-- name: domain_list
select count(*) over () as total_rows, d.* from api_domain d
where (by_provider() or d.row_id = (select a.domain_id from account a where a.id = account_low()))
  and ($1::uuid is null or d.id = $1::uuid) and ($2::text is null or d.name = $2)
  and ($3::integer is null or d.level = $3::integer) and ($4::text is null or d.name ilike '%' || $4 || '%')
order by d.path limit $5 offset $6;

-- name: domain_one
select * from api_domain where id = $1::uuid;

-- name: domain_insert
insert into domain (parent_id, name, path)
select p.id, $1, p.path || '/' || $1 from domain p where $2::uuid is null and p.path = 'ROOT' or p.uuid = $2::uuid
returning uuid;

-- name: domain_rename
-- With all paths below it.
with old as (select id, path, left(path, length(path) - length(name)) || $2::text as renamed
    from domain where uuid = $1::uuid and parent_id is not null)
update domain d set path = o.renamed || substr(d.path, length(o.path) + 1), name = case when d.id = o.id then $2::text else d.name end
from old o where d.id = o.id or starts_with(d.path, o.path || '/');

-- name: domain_delete
delete from domain d where d.uuid = $1::uuid and d.parent_id is not null
    and not exists (select from account a where a.domain_id = d.id)
    and not exists (select from domain c where c.parent_id = d.id)
    and not exists (select from host h where h.dedicated_domain = d.id);

-- name: account_state
update account set state = $2 where uuid = $1::uuid and removed is null and kind = 'tenant' returning id;

-- name: account_stop_all
-- Its running machines are asked to stop, where nobody works on them.
insert into job (account_id, user_id, command, object_kind, object_uuid)
select v.account_id, $2::bigint, 'stopVirtualMachine', 'vm', v.uuid from vm v
where v.account_id = $1::bigint and v.removed is null and v.state in ('Running', 'Paused')
    and not exists (select from job j where j.object_uuid = v.uuid and j.state in ('pending', 'running'));

-- name: limit_list_account
select count(*) over () as total_rows, l.* from api_resource_limit l
where l.account_id = $1::bigint and ($2::text is null or l.resourcetype = $2) and ($3::text is null or l.resourcetypename = lower($3))
order by l.row_id;

-- name: limit_list_domain
select count(*) over () as total_rows, l.* from api_resource_limit l
where l.of_domain and l.domainid = $1::uuid and ($2::text is null or l.resourcetype = $2)
  and ($3::text is null or l.resourcetypename = lower($3))
order by l.row_id;

-- name: limit_put
insert into resource_limit (owner_kind, owner_id, kind, most)
select $1, $2::bigint, name, $4::bigint from resource_kind where number = $3::integer
on conflict (owner_kind, owner_id, kind) do update set most = excluded.most returning kind;

-- name: count_of_account
select l.resourcetype, l.resourcetypename, ceil(l.used::numeric)::bigint as resourcecount, l.account, l.domain, l.domainid
from api_resource_limit l where l.account_id = $1::bigint and ($2::text is null or l.resourcetype = $2) order by l.row_id;

-- name: count_of_domain
select l.resourcetype, l.resourcetypename, ceil(l.used::numeric)::bigint as resourcecount, l.account, l.domain, l.domainid
from api_resource_limit l where l.of_domain and l.domainid = $1::uuid and ($2::text is null or l.resourcetype = $2) order by l.row_id;

-- name: project_insert
with a as (
    insert into account (domain_id, name, currency, timezone, locale)
    select o.domain_id, 'project-' || $2::text, o.currency, o.timezone, o.locale from account o where o.id = $1::bigint
    returning id
), t as (
    insert into account_tariff (account_id, valid_from, tariff_id)
    select a.id, x.valid_from, x.tariff_id from a, account_tariff x where x.account_id = $1::bigint
), p as (
    insert into project (account_id, owner_id, display_text) select id, $1::bigint, coalesce($3::text, '') from a returning id, uuid
), m as (
    insert into project_member (project_id, account_id, admin) select id, $1::bigint, true from p
)
select uuid from p;

-- name: project_list
select count(*) over () as total_rows, p.* from api_project p
where p.removed is null and ($1::uuid is null or p.id = $1::uuid) and ($2::text is null or p.name in ($2, 'project-' || $2))
  and ($3::text is null or p.name ilike '%' || $3 || '%')
order by p.row_id limit $4 offset $5;

-- name: project_one
select * from api_project where id = $1::uuid;

-- name: project_of
-- For its owner and the provider.
select p.id, p.account_id, d.uuid from project p join account o on o.id = p.owner_id join domain d on d.id = o.domain_id
where p.uuid = $1::uuid and p.removed is null and ($2::bigint is null or p.owner_id = $2::bigint);

-- name: project_remove
with p as (
    update project set state = 'Removed', removed = now() where id = $1::bigint and removed is null
        and not exists (select from vm v where v.account_id = project.account_id and v.expunged is null)
        and not exists (select from volume v where v.account_id = project.account_id and v.expunged is null)
        and not exists (select from snapshot s where s.account_id = project.account_id and s.removed is null)
    returning account_id)
update account a set removed = now(), state = 'disabled' from p where a.id = p.account_id;

-- name: project_member_put
insert into project_member (project_id, account_id)
select $1::bigint, a.id from account a join domain d on d.id = a.domain_id
where a.name = $2 and d.uuid = $3::uuid and a.removed is null on conflict do nothing returning 1;

-- name: project_member_delete
delete from project_member m using account a where m.project_id = $1::bigint and a.id = m.account_id and a.name = $2 and not m.admin;

---------------------------------------------------------------- statements

-- name: statement_list
select count(*) over () as total_rows, s.* from api_statement s
where ($1::uuid is null or s.id = $1::uuid) and ($2::text is null or s.number = $2) and ($3::text is null or s.kind = $3)
    and ($4::timestamptz is null or s.enddate > $4::timestamptz) and ($5::timestamptz is null or s.startdate < $5::timestamptz)
    and ($6::text is null or s.number ilike '%' || $6 || '%' or s.account ilike '%' || $6 || '%')
order by s.startdate desc, s.row_id desc limit $7 offset $8;

-- name: statement_one
select s.*, s.document->'body'->'taxes' as taxes, s.document->'body'->'tariffs' as tariffs, s.document->'credits' as credits,
    s.document->'prepaid' as prepaid, s.document->'issuer' as issuer, s.document->'customer' as customer,
    s.document->'body'->'usage' as usage, s.document->>'reason' as reason, (s.document->'body'->'lines'->>'count')::bigint as lines
from api_statement s where s.id = $1::uuid;

-- name: statement_line_list
select l.total as total_rows, l.line_no as n, d->>'kind' as kind, d->>'sku' as sku, d->'resource'->>'id' as resourceid,
    d->'resource'->>'name' as resourcename, d->>'band' as band, d->>'from' as startdate, d->>'to' as enddate,
    d->>'quantity' as quantity, d->>'unit' as unit, d->>'exact' as exact, d->>'amount' as amount, d->'parts' as parts,
    d->'tax' as tax, d->'original' as original, d->>'reason' as reason
from statement s
cross join lateral (
    select x.line_no, x.document::jsonb as d,
        (select count(*) from statement_line y where y.account_id = s.account_id and y.statement_id = s.id) as total
    from statement_line x where x.account_id = s.account_id and x.statement_id = s.id
) l
where s.uuid = $1::uuid and ($2::bigint is null or l.line_no = $2::bigint)
order by l.line_no limit $3 offset $4;

-- name: statement_number
-- As it may stand in the name of a file.
select regexp_replace(name, '[^A-Za-z0-9._-]', '_', 'g') from statement where uuid = $1::uuid;

-- name: statement_account
-- Whose a statement is, by id or number; more than one row: the number is of several issuers.
select distinct account_id from statement where uuid::text = lower($1) or name = $1 limit 2;

-- name: usage_balance_list
select count(*) over () as total_rows, b.* from api_usage_balance b
where ($1::boolean is null or (b.unrated > 0) = $1::boolean) and ($2::text is null or b.sku = $2)
    and ($3::timestamptz is null or b.startdate >= $3::timestamptz) and ($4::timestamptz is null or b.startdate < $4::timestamptz)
order by b.startdate desc, b.unrated desc, b.account, b.account_id, b.sku limit $5 offset $6;

---------------------------------------------------------------- estimates and budgets (web/quote.c, web/budget.c)

-- name: quote_offering
select name, vcpus, memory_bytes, disk_bytes from offering where uuid = $1::uuid and removed is null;

-- name: quote_image
-- What a disk must hold at least: a kernel's starts empty, an ISO is none.
select case when kind = 'disk' then size_bytes else 0 end from template where uuid = $1::uuid and removed is null
    and (public or account_id between account_low() and account_high());

-- name: quote_host
select sockets, cores from host where uuid = $1::uuid and removed is null;

-- name: budget_list
select count(*) over () as total_rows, b.* from api_budget b
where ($1::uuid is null or b.id = $1::uuid) and ($2::text is null or b.name = $2) and ($3::text is null or b.level = lower($3))
  and ($4::text is null or b.name ilike '%' || $4 || '%')
order by b.account_id, b.created, b.id limit $5 offset $6;

-- name: budget_live
-- With what it has come to at this moment; without figures as the rater last saw it.
select v.id, v.name, v.account, v.accountid, v.domain, v.domainid, v.project, v.amount, v.currency, v.thresholds,
    v.forecastalarm, v.scope, v.sku, v.tag, v.resourceid, v.resourcename, v.created,
    coalesce(budget_amount($2::numeric, v.currency), v.spent) as spent,
    coalesce(budget_amount($3::numeric, v.currency), v.forecast) as forecast,
    coalesce(round($2::numeric * 100 / b.amount, 2)::text, v.usedpercent) as usedpercent,
    coalesce(round($3::numeric * 100 / b.amount, 2)::text, v.forecastpercent) as forecastpercent,
    case when $2::numeric is not null then budget_level(b, $2::numeric) else v.level end as level,
    case when $2::numeric is not null then budget_reached(b, $2::numeric) else v.reached end as reached,
    coalesce($4::timestamptz, v.startdate) as startdate, coalesce($5::timestamptz, v.enddate) as enddate,
    coalesce($6::timestamptz, v.asof) as asof
from api_budget v join budget b on b.account_id = v.account_id and b.uuid = v.id where v.id = $1::uuid;

-- name: budget_owner
select account_id, currency from budget where uuid = $1::uuid and removed is null;

-- name: budget_currency
select account_currency($1::bigint) where account_currency($1::bigint) is not null;

-- name: budget_insert
insert into budget (account_id, name, amount, currency, thresholds, forecast, scope, value)
select $1::bigint, $2, $3::numeric, $4, coalesce($5::integer[], '{80,100}'), coalesce($6::boolean, true), $7, lower_uuid.value
from (select case $7 when 'resource' then lower($8::text) else $8::text end as value) lower_uuid
where (select count(*) from budget b where b.account_id = $1::bigint and b.removed is null) < 100
returning uuid;

-- name: budget_update
update budget set name = coalesce($2::text, name), amount = coalesce($3::numeric, amount),
    thresholds = coalesce($4::integer[], thresholds), forecast = coalesce($5::boolean, forecast)
where uuid = $1::uuid and removed is null;

-- name: budget_remove
update budget set removed = now() where uuid = $1::uuid and removed is null returning account_id;
