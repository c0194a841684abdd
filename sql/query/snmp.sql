-- Statements of jeoul-snmp.  It decides by itself what is told to whom and writes that down
-- here; what the tables know of hosts, usage and people it reads.

-- name: alarm_put
-- The state of an alarm.  Where another sender holds the same alarm already, its row stays.
insert into alarm (uuid, rule, object_kind, object_uuid, object_name, severity, text,
    raised_at, changed_at, cleared_at, count, flapping)
select $1::uuid, $2, $3, $4::uuid, $5, $6, $7, $8::timestamptz, $9::timestamptz, $10::timestamptz,
    $11::integer, $12::boolean
where $10::timestamptz is not null or not exists (select from alarm o
    where o.rule = $2 and o.object_name = $5 and o.cleared_at is null and o.uuid <> $1::uuid)
on conflict (uuid) do update set severity = excluded.severity, text = excluded.text,
    changed_at = excluded.changed_at, cleared_at = coalesce(alarm.cleared_at, excluded.cleared_at),
    count = excluded.count, flapping = excluded.flapping
-- name: notification_put
insert into notification (uuid, number, alarm_id, kind, at, severity, text, times)
select $1::uuid, $2::bigint, a.id, $4, $5::timestamptz, $6, $7, $8::integer
from alarm a where a.uuid = $3::uuid
on conflict (uuid) do nothing
-- name: delivery_put
insert into delivery (seq, receiver, state, attempts, sent_at, error)
select n.seq, $2, $3, $4::integer, $5::timestamptz, $6 from notification n where n.uuid = $1::uuid
on conflict (seq, receiver) do update set state = excluded.state, attempts = excluded.attempts,
    sent_at = excluded.sent_at, error = excluded.error
where delivery.state = 'waiting'

-- name: alarm_acknowledged
select uuid from alarm where cleared_at is null and acknowledged_at is not null
-- name: alarm_active
-- What the tables hold as wrong, for a jeoul-snmp that has lost its journal.
select uuid, rule, object_kind, coalesce(object_uuid::text, '') as object_uuid, object_name, severity, text,
    raised_at, changed_at, count, flapping
from alarm where cleared_at is null order by id limit 10000
-- name: delivery_waiting
-- What the tables hold as undelivered, likewise.
select n.uuid, n.number, n.kind, n.at, n.severity, n.text, n.times, a.uuid as alarm_uuid, a.rule,
    a.object_kind, coalesce(a.object_uuid::text, '') as object_uuid, a.object_name, d.receiver, d.attempts
from delivery d join notification n on n.seq = d.seq join alarm a on a.id = n.alarm_id
where d.state = 'waiting' order by n.number, n.uuid, d.receiver limit 4096

-- Rules: uuid and name of what is in trouble, severity (null: that of the rule), what to say.

-- name: rule_host_unreachable
-- Hosts that were not reached for too long.  A host that nobody could look at (no collector,
-- no contact row yet) is no trouble of the host.
select h.uuid, h.name, null::text as severity,
    format('host %s is unreachable since %s: %s', h.name, to_char(c.failing_since, 'YYYY-MM-DD HH24:MI:SS TZ'),
        coalesce(c.error, h.error, 'no answer')) as text
from host h join host_contact c on c.host_id = h.id
where h.removed is null and c.failing_since is not null and c.failing_since <= $1::timestamptz
-- name: rule_meter_late
select h.uuid, h.name, null::text as severity,
    format('host %s: not sampled since %s: is jeoul-meter at work?', h.name,
        to_char(c.last_ok, 'YYYY-MM-DD HH24:MI:SS TZ')) as text
from host h join host_contact c on c.host_id = h.id
where h.removed is null and h.state = 'Up' and c.failing_since is null and c.last_ok <= $1::timestamptz
-- name: rule_collector_gone
-- After a day it is missed no more: it was taken away for good.
select null::text as uuid, c.name, null::text as severity,
    format('collector %s on %s: no sign of life since %s; if there are others they have its hosts; what is on its disk only '
        'is counted when it is back', c.name, c.machine, to_char(c.seen, 'YYYY-MM-DD HH24:MI:SS TZ')) as text
from collector c where c.seen <= $1::timestamptz and c.seen > now() - interval '1 day'
-- name: rule_host_uncollected
-- One alarm for all of them.
select null::text as uuid, 'meter' as name, null::text as severity,
    format('%s hosts are asked by no collector, %s among them: is jeoul-meter at work?', count(*), min(h.name)) as text
from host h left join host_lease l on l.host_id = h.id left join collector c on c.turn = l.turn and not c.lost
where h.removed is null and h.state <> 'Removed' and coalesce(c.expires, greatest(l.since, h.created)) <= $1::timestamptz
having count(*) > 0
-- name: rule_usage_unrated
-- A tenant without any price list costs money at once; a price list that forgets something is
-- worth a look.  What is meant to be free has the price 0.
select a.uuid, a.name,
    case when a.kind = 'tenant' and t.none then 'major' else 'warning' end as severity,
    format(case when t.none then 'account %s has no price list: it used %s'
        else 'account %s: its price list has no price for %s' end, a.name,
        (select string_agg(sku, ', ' order by sku) from jsonb_array_elements_text(r.unrated) sku)) as text
from accrual_run r join account a on a.id = r.account_id
cross join lateral (select not exists (select from account_tariff x
    where x.account_id = a.id and x.valid_from <= now()) as none) t
where jsonb_array_length(r.unrated) > 0 and r.period_from <= now() and r.period_to > now()
-- name: rule_meter_gap
select a.uuid, a.name, null::text as severity,
    format('account %s: %s resources were not measured for %s s in all, the last until %s: %s', a.name,
        count(distinct g.resource_id), round(extract(epoch from sum(g.gap_to - g.gap_from))),
        to_char(max(g.gap_to), 'YYYY-MM-DD HH24:MI:SS TZ'), string_agg(distinct g.reason, '; ')) as text
from meter_gap g join account a on a.id = g.account_id
where g.gap_to > $1::timestamptz
group by a.id
-- name: rule_account_funds
-- billing says in a view of its own what is wrong with accounts.
select uuid, name, severity, text from billing_alarm where rule = 'account.funds'
-- name: rule_account_budget
select uuid, name, severity, text from billing_alarm where rule = 'account.budget'
-- name: rule_account_forecast
select uuid, name, severity, text from billing_alarm where rule = 'account.forecast'
-- name: rule_account_unbilled
select uuid, name, severity, text from billing_alarm where rule = 'account.unbilled'
