-- Statements of jeoul-snmp.

-- name: host_trouble
-- Hosts that were not reached for too long: since when, and why.  A host that nobody could
-- look at (no collector, no contact row yet) is no trouble of the host.
select h.uuid, h.name, c.failing_since, coalesce(c.error, h.error, 'no answer') as error
from host h join host_contact c on c.host_id = h.id
where h.removed is null and c.failing_since is not null
  and c.failing_since <= $1::timestamptz
-- name: alarm_active
select id, rule, object_name from alarm where cleared_at is null and rule = $1
-- name: alarm_raise
insert into alarm (rule, object_kind, object_uuid, object_name, severity, text, raised_at)
values ($1, $2, $3::uuid, $4, $5, $6, $7::timestamptz)
on conflict (rule, object_name) where cleared_at is null do nothing
returning id
-- name: alarm_clear
update alarm set cleared_at = greatest($3::timestamptz, raised_at)
where rule = $1 and object_name = $2 and cleared_at is null
returning id
-- name: notification_insert
insert into notification (alarm_id, kind, at, severity, text)
values ($1::bigint, $2, $3::timestamptz, $4, $5) returning seq
-- name: delivery_insert
insert into delivery (seq, receiver) values ($1::bigint, $2) on conflict do nothing
-- name: delivery_due
select d.seq, d.receiver, d.attempts, n.kind, n.at, n.severity, n.text, a.uuid, a.rule, a.object_kind,
    coalesce(a.object_uuid::text, '') as object_uuid, a.object_name
from delivery d join notification n on n.seq = d.seq join alarm a on a.id = n.alarm_id
where d.sent_at is null and d.next_try <= now()
order by d.seq limit 64
-- name: delivery_sent
update delivery set sent_at = now(), attempts = attempts + 1, error = null
where seq = $1::bigint and receiver = $2
-- name: delivery_failed
update delivery set attempts = attempts + 1, error = $3,
    next_try = now() + least(interval '60 seconds', interval '1 second' * (2 ^ least(attempts, 6)))
where seq = $1::bigint and receiver = $2
-- name: delivery_waiting
select count(*) from delivery where sent_at is null
