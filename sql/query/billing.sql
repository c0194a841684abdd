-- Statements of jeoul-billing, of jeoul-vectors and of web's preview.
-- Times leave as whole microseconds since 1970, so that no text form is in the way.

-- name: calendar_unit
-- The local unit that holds an instant; what billing_calendar keeps goes before what
-- today's zone rules say.  Midnight that exists twice is the first of the two, one that
-- does not exist has the offset before the gap; an hour is 3600 s in every zone.
with asked as (
    select $1::text as zone, $2::text as unit, $3::timestamptz as at
), local as (
    select a.*, date_trunc(unit, at at time zone zone) as lo,
        date_trunc(unit, at at time zone zone) + ('1 ' || unit)::interval as hi
    from asked a
), bounds as (
    select c.starts, c.ends, 1 as rank from billing_calendar c, asked a
    where c.zone = a.zone and c.unit = a.unit and c.starts <= a.at and c.ends > a.at
    union all
    select at - ((at at time zone zone) - lo), at - ((at at time zone zone) - lo) + interval '1 hour', 2
    from local where unit = 'hour'
    union all
    select (lo at time zone zone) - case when ((lo at time zone zone) - interval '1 hour') at time zone zone = lo
                                         then interval '1 hour' else interval '0' end,
           (hi at time zone zone) - case when ((hi at time zone zone) - interval '1 hour') at time zone zone = hi
                                         then interval '1 hour' else interval '0' end, 2
    from local where unit <> 'hour'
)
select (extract(epoch from starts) * 1000000)::bigint, (extract(epoch from ends) * 1000000)::bigint
from bounds order by rank limit 1;

-- name: calendar_keep
insert into billing_calendar (zone, unit, starts, ends) values ($1, $2, $3, $4)
on conflict do nothing;

-- name: calendar_anchored
-- The n-th run of so many months after local midnight of a date: counted from the date
-- itself each time, so that a clamped 31st comes back.
with asked as (
    select $1::text as zone, $2::date + ($4::bigint * $3::int) * interval '1 month' as lo,
        $2::date + (($4::bigint + 1) * $3::int) * interval '1 month' as hi
)
select (extract(epoch from (lo at time zone zone)
            - case when ((lo at time zone zone) - interval '1 hour') at time zone zone = lo
                   then interval '1 hour' else interval '0' end) * 1000000)::bigint,
       (extract(epoch from (hi at time zone zone)
            - case when ((hi at time zone zone) - interval '1 hour') at time zone zone = hi
                   then interval '1 hour' else interval '0' end) * 1000000)::bigint
from asked;

-- name: calendar_wall
-- So many minutes by the wall clock of the local day of an instant, and its ISO weekday.
with asked as (
    select $1::text as zone, date_trunc('day', $2::timestamptz at time zone $1::text) as day
), wall as (
    select zone, day, day + $3::int * interval '1 minute' as lo from asked
)
select (extract(epoch from (lo at time zone zone)
            - case when ((lo at time zone zone) - interval '1 hour') at time zone zone = lo
                   then interval '1 hour' else interval '0' end) * 1000000)::bigint,
       extract(isodow from day)::int
from wall;

-- name: lease_make
insert into lease (name, holder, epoch, expires) values ($1, '', 0, '-infinity')
on conflict do nothing;

-- name: lease_take
-- Renews our own lease, or takes one that ran out with the next epoch; never waits.
with free as (
    select name from lease
    where name = $1 and (holder = $2 or expires <= now()) for update skip locked
)
update lease l set holder = $2,
    epoch = case when l.holder = $2 and l.expires > now() then l.epoch else l.epoch + 1 end,
    expires = now() + $3::bigint * interval '1 second'
from free where l.name = free.name
returning l.epoch;

-- name: lease_fence
-- Stands at the head of every writing transaction: who lost the lease writes nothing.
select 1 from lease where name = $1 and holder = $2 and epoch = $3 and expires > now() for share;

-- name: bill_accounts
select id from account where removed is null order by id;

-- name: bill_account
select uuid, name, currency, timezone, (extract(epoch from created) * 1000000)::bigint
from account where id = $1;

-- name: bill_tariffs
-- The price lists of a period in order of time, each in its latest version.
select (extract(epoch from a.valid_from) * 1000000)::bigint, t.id, t.uuid, t.name, v.version, v.document
from account_tariff a
join tariff t on t.id = a.tariff_id
cross join lateral (
    select version, document from tariff_version
    where tariff_id = t.id order by version desc limit 1
) v
where a.account_id = $1 and a.valid_from < $3::timestamptz
  and not exists (select from account_tariff b where b.account_id = a.account_id
                  and b.valid_from > a.valid_from and b.valid_from <= $2::timestamptz)
order by a.valid_from;

-- name: bill_lifetimes
-- From a day before the period on, because a run's start may count.
select l.kind, l.resource_uuid, l.resource_name,
    (extract(epoch from l.valid_from) * 1000000)::bigint,
    (extract(epoch from l.valid_to) * 1000000)::bigint,
    l.vcpus, l.memory_bytes, l.size_bytes, l.sockets, l.cores, l.simulated, o.name
from lifetime l left join offering o on o.id = l.offering_id
where l.account_id = $1 and l.valid_from < $3::timestamptz
  and (l.valid_to is null or l.valid_to >= $2::timestamptz - interval '1 day')
order by l.resource_id, l.kind, l.valid_from;

-- name: bill_windows
-- Consumption per VM, by window ($4) or as one sum, which saves rows where no price
-- depends on the time.  The account's own lifetimes name the VM: it may be another's now.
-- What nothing names is charged too, under its number.
with used as (
    select vm_id, case when $4::boolean then window_from else $2::timestamptz end as at,
        bool_or(simulated) as simulated, sum(vcpu_ns) as vcpu_ns, sum(disk_read_bytes) as disk_read,
        sum(disk_write_bytes) as disk_write, sum(disk_read_requests) as disk_reads,
        sum(disk_write_requests) as disk_writes, sum(net_rx_bytes) as net_rx, sum(net_tx_bytes) as net_tx
    from usage_window
    where account_id = $1 and window_from >= $2::timestamptz and window_from < $3::timestamptz
    group by 1, 2
), named as (
    select distinct on (resource_id) resource_id, resource_uuid, resource_name
    from lifetime
    where account_id = $1 and kind in ('running', 'allocated') and valid_from < $3::timestamptz
      and (valid_to is null or valid_to > $2::timestamptz)
    order by resource_id, valid_from desc
)
select coalesce(n.resource_uuid, v.uuid, lpad(to_hex(u.vm_id), 32, '0')::uuid) as uuid,
    coalesce(n.resource_name, v.name, 'VM number ' || u.vm_id) as name,
    (extract(epoch from u.at) * 1000000)::bigint, u.simulated, u.vcpu_ns, u.disk_read,
    u.disk_write, u.disk_reads, u.disk_writes, u.net_rx, u.net_tx
from used u
left join named n on n.resource_id = u.vm_id
left join vm v on v.account_id = $1 and v.id = u.vm_id
order by 1, 3;

-- name: accrual_put
-- An absolute state: written again it changes nothing, a later one replaces it.
insert into accrual (account_id, period_from, line_key, period_to, sku, resource_uuid, resource_name,
    tariff_id, tariff_version, currency, quantity, unit, exact, amount, band, through, generation)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
on conflict (account_id, period_from, line_key) do update set
    period_to = excluded.period_to, sku = excluded.sku, resource_uuid = excluded.resource_uuid,
    resource_name = excluded.resource_name, tariff_id = excluded.tariff_id,
    tariff_version = excluded.tariff_version, currency = excluded.currency,
    quantity = excluded.quantity, unit = excluded.unit, exact = excluded.exact,
    amount = excluded.amount, band = excluded.band, through = excluded.through,
    generation = excluded.generation
where excluded.through >= accrual.through and excluded.generation > accrual.generation;

-- name: accrual_run_put
insert into accrual_run (account_id, period_from, period_to, through, generation, currency,
    subtotal, tax, total, per_hour, unrated)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::jsonb)
on conflict (account_id, period_from) do update set
    period_to = excluded.period_to, through = excluded.through, generation = excluded.generation,
    currency = excluded.currency, subtotal = excluded.subtotal, tax = excluded.tax,
    total = excluded.total, per_hour = excluded.per_hour, unrated = excluded.unrated
where excluded.through >= accrual_run.through and excluded.generation > accrual_run.generation;
