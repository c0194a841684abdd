-- Statements of jeoul-snmp.

-- name: host_contacts
-- Hosts that do not answer, and those whose last answer is so old that somebody should have
-- asked again; with whether a collector is there to ask.  All others are well.
select h.uuid, h.name, c.last_ok, c.failing_since, coalesce(c.error, h.error, 'no answer') as error,
    (select count(*) > 0 from roles_connected() where role = 'meter') as collector
from host h join host_contact c on c.host_id = h.id
where h.removed is null and (c.failing_since is not null or c.last_ok < $1::timestamptz)
order by h.id
-- name: alarm_contradicted
-- Active alarms that somebody told us, but whose "it is over" never came (we were dead, or the
-- teller was) although the facts say so.
select a.rule, a.object_name, case a.rule when 'database.down' then 'the database answers'
    when 'role.down' then a.object_name || ' works again' else 'its disks are sampled again, or it is gone' end as why
from alarm a
where a.cleared_at is null and (
    a.rule = 'database.down' and a.last_at < now() - interval '30 seconds'
    or a.rule = 'role.down' and a.last_at < now() - interval '60 seconds'
        and (a.object_name = 'postgres' or a.object_name in (select role from roles_connected()))
    or a.rule = 'vm.monitor.blocked' and a.last_at < now() - interval '60 seconds' and (
        not exists (select from vm v where v.uuid = a.object_uuid and v.removed is null
            and v.state in ('Running', 'Paused'))
        or exists (select from vm v join usage_window w on w.account_id = v.account_id and w.vm_id = v.id
            where v.uuid = a.object_uuid and v.removed is null and w.resource_kind = 'volume'
            and w.window_from > now() - interval '3 hours' and w.through > a.last_at + interval '30 seconds')))
-- name: alarm_active
select uuid, rule, object_name from alarm where cleared_at is null
-- name: alarm_raise
-- One active alarm per rule and object: a second raise counts.
insert into alarm (uuid, rule, object_kind, object_uuid, object_name, severity, text, raised_at, last_at)
values ($1::uuid, $2, $3, $4::uuid, $5, $6, $7, $8::timestamptz, $8::timestamptz)
on conflict (rule, object_name) where cleared_at is null
    do update set count = alarm.count + 1, last_at = greatest(alarm.last_at, excluded.last_at)
returning id, xmax = 0 as fresh
-- name: alarm_repeat
update alarm set count = count + $3::integer, last_at = greatest(last_at, $4::timestamptz)
where rule = $1 and object_name = $2 and cleared_at is null
-- name: alarm_clear
update alarm set cleared_at = greatest($3::timestamptz, raised_at)
where rule = $1 and object_name = $2 and cleared_at is null
returning id, severity
-- name: notification_known
select seq from notification where origin = $1
-- name: notification_insert
insert into notification (alarm_id, kind, at, severity, text, origin)
values ($1::bigint, $2, $3::timestamptz, $4, $5, $6) returning seq
-- name: delivery_insert
-- sent: it went out while the database was away.
insert into delivery (seq, receiver, attempts, sent_at)
values ($1::bigint, $2, $3::boolean::integer, case when $3::boolean then now() end)
on conflict do nothing
-- name: delivery_due
-- In the order in which it happened; the back-off is the courier's, one per receiver.
select d.seq, n.kind, n.at, n.severity, n.text, a.uuid, a.rule, a.object_kind,
    coalesce(a.object_uuid::text, '') as object_uuid, a.object_name
from delivery d join notification n on n.seq = d.seq join alarm a on a.id = n.alarm_id
where d.receiver = $1 and d.sent_at is null and d.seq > $2::bigint
order by d.seq limit $3::integer
-- name: delivery_sent
update delivery set sent_at = now(), attempts = attempts + 1, error = null
where receiver = $1 and seq = any ($2::bigint[]) and sent_at is null
-- name: delivery_failed
update delivery set attempts = attempts + 1, error = $3,
    next_try = now() + interval '1 millisecond' * $4::integer
where receiver = $1 and seq = any ($2::bigint[]) and sent_at is null
-- name: delivery_forget
delete from delivery where sent_at is null and receiver <> all ($1::text[])
-- name: delivery_waiting
select count(*) from delivery where sent_at is null
