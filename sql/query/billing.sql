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
    select local_instant(lo, zone), local_instant(hi, zone), 2
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
select (extract(epoch from local_instant(lo, zone)) * 1000000)::bigint,
       (extract(epoch from local_instant(hi, zone)) * 1000000)::bigint
from asked;

-- name: calendar_wall
-- So many minutes by the wall clock of the local day of an instant, and its ISO weekday.
with asked as (
    select $1::text as zone, date_trunc('day', $2::timestamptz at time zone $1::text) as day
), wall as (
    select zone, day, day + $3::int * interval '1 minute' as lo from asked
)
select (extract(epoch from local_instant(lo, zone)) * 1000000)::bigint,
       extract(isodow from day)::int
from wall;

---------------------------------------------------------------- leases

-- name: shard_make
-- Accounts are shared out by their number; who holds rater:5 rates those whose rest is 5.
insert into lease (name, holder, epoch, expires)
select 'rater:' || n, '', 0, '-infinity' from generate_series(0, $1::integer - 1) n
on conflict do nothing;

-- name: rater_alive
insert into lease (name, holder, epoch, expires)
values ('rater.alive:' || $1, $1, 0, now() + $2::bigint * interval '1 second')
on conflict (name) do update set expires = excluded.expires;

-- name: rater_forget
delete from lease where name like 'rater.alive:%' and expires < now() - interval '1 hour';

-- name: rater_count
select count(*) from lease where name like 'rater.alive:%' and expires > now();

-- name: shard_renew
update lease set expires = now() + $2::bigint * interval '1 second'
where name like 'rater:%' and holder = $1 and expires > now()
returning substr(name, 7)::integer, epoch;

-- name: shard_take
-- As many as asked for of those that ran out, with the next epoch; never waits.
with free as (
    select name from lease where name like 'rater:%' and expires <= now()
    order by name limit $3::integer for update skip locked
)
update lease l set holder = $1, epoch = l.epoch + 1, expires = now() + $2::bigint * interval '1 second'
from free where l.name = free.name
returning substr(l.name, 7)::integer, l.epoch;

-- name: shard_release
update lease set expires = now()
where name = 'rater:' || $2 and holder = $1 and epoch = $3;

-- name: lease_give
update lease set expires = now() where holder = $1 and expires > now();

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

-- name: shards_lock
-- Our leases for one long transaction: nobody takes a lease whose row is locked.
select substr(name, 7)::bigint from lease
where name like 'rater:%' and holder = $1 and expires > now() order by name for update;

-- name: shards_stay
-- At the end of it they are good again.
update lease set expires = clock_timestamp() + $2::bigint * interval '1 second' where name like 'rater:%' and holder = $1;

-- name: lease_fence
-- Stands at the head of every writing transaction: who lost the lease writes nothing.  A
-- rater that stops in the middle of one gives its locks back when the lease would be over.
select set_config('idle_in_transaction_session_timeout', '20s', true) from lease where name = $1 and holder = $2 and epoch = $3 and expires > now() for share;

---------------------------------------------------------------- periods

-- name: rater_accounts
-- The accounts of a shard, also those that are gone but not yet billed to their end.
select a.id
from account a left join lateral (
    select max(p.ends) as known, bool_or(p.closed_at is null) as unclosed
    from billing_period p where p.account_id = a.id
) p on true
where a.id % $1::integer = $2::integer and (a.removed is null or p.unclosed or p.known is null or p.known <= a.removed)
order by a.id;

-- name: period_terms
select a.timezone, t.anchor, coalesce(t.months, 1),
    (extract(epoch from least(a.created, (select min(l.valid_from) from lifetime l where l.account_id = a.id))) * 1000000)::bigint,
    (extract(epoch from a.removed) * 1000000)::bigint,
    (select (extract(epoch from max(p.ends)) * 1000000)::bigint from billing_period p where p.account_id = a.id)
from account a left join billing_terms t on t.account_id = a.id
where a.id = $1;

-- name: period_open
insert into billing_period (account_id, starts, ends, zone, tzdata) values ($1, $2, $3, $4, $5)
on conflict do nothing;

-- name: period_at
select (extract(epoch from starts) * 1000000)::bigint, (extract(epoch from ends) * 1000000)::bigint
from billing_period where account_id = $1 and starts <= $2::timestamptz and ends > $2::timestamptz;

-- name: period_unclosed
-- In order of time, and whether it may be drawn up: over, past its grace, its usage complete
-- in a sense that the one before it is closed.
select (extract(epoch from p.starts) * 1000000)::bigint, (extract(epoch from p.ends) * 1000000)::bigint,
    p.drawn_at is not null,
    p.due <= $2::timestamptz and not exists (select from billing_period b
        where b.account_id = p.account_id and b.starts < p.starts and b.closed_at is null)
from api_billing_period p
where p.account_id = $1 and p.closed_at is null and p.starts <= $2::timestamptz
order by p.starts;

-- name: trouble_put
insert into billing_trouble (account_id, text, since) values ($1, $2, $3)
on conflict (account_id) do update set text = excluded.text,
    since = case when billing_trouble.text is null then excluded.since else billing_trouble.since end
where billing_trouble.text is distinct from excluded.text;

-- name: trouble_end
update billing_trouble set text = null, since = $2 where account_id = $1 and text is not null;

---------------------------------------------------------------- bills

-- name: bill_account
select uuid, name, currency, timezone, (extract(epoch from created) * 1000000)::bigint
from account where id = $1;

-- name: bill_meters
-- What imported usage counts in.
select sku, unit from usage_meter order by sku collate "C";

-- name: bill_tariffs
-- The price lists of a period in order of time, each in its latest version.
select (extract(epoch from a.valid_from) * 1000000)::bigint, t.id, t.uuid, t.name, v.version,
    encode(sha256(convert_to(v.document, 'UTF8')), 'hex'), v.document
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

-- name: bill_pinned
-- The price lists that a closed period was charged by, as its statement names them.
select (extract(epoch from (x.t->>'from')::timestamptz) * 1000000)::bigint, t.id, t.uuid, t.name, v.version,
    encode(sha256(convert_to(v.document, 'UTF8')), 'hex'), v.document
from billing_period p
join statement s on s.account_id = p.account_id and s.id = p.statement_id
cross join lateral jsonb_array_elements(s.document::jsonb->'body'->'tariffs') with ordinality x(t, place)
join tariff t on t.uuid = (x.t->>'id')::uuid
join tariff_version v on v.tariff_id = t.id and v.version = (x.t->>'version')::integer
where p.account_id = $1 and p.starts = $2::timestamptz and p.ends = $3::timestamptz
order by x.place;

-- name: sums_look
-- The kept sums of the period from $2 as far as $3: up to where windows are settled, up to where sums
-- are kept, whether these are good, whether something in them came late, and how many lifetimes there are
-- at least.  They are good if the
-- stretches are those that the prices make now, and not too old: a change past everybody's notice
-- is found by reading all again.
select (extract(epoch from a.settled) * 1000000)::bigint, (extract(epoch from r.through) * 1000000)::bigint,
    coalesce(r.made_at <= now() and r.made_at > now() - interval '6 hours' - mod($1::bigint, 3600) * interval '1 second'
        and r.through <= $3::timestamptz and r.starts = ($4::timestamptz[])[1:cardinality(r.starts)]
        and r.sum_in = ($5::integer[])[1:cardinality(r.sum_in)]
        and (cardinality(r.starts) = cardinality($4::timestamptz[]) or ($4::timestamptz[])[cardinality(r.starts) + 1] >= r.through), false),
    exists (select from usage_touched t where t.account_id = $1 and t.window_from >= $2::timestamptz and t.window_from < r.through),
    (select count(*) from (select from lifetime where account_id = $1 limit 300) l)
from (select least(date_trunc('hour', least($6::timestamptz, now())) - interval '2 hours', $3::timestamptz) as settled) a
left join usage_sum_run r on r.account_id = $1 and r.period_from = $2::timestamptz;

-- name: sums_want
-- The sums up to $3 are to be made of all rows.
insert into usage_sum_run (account_id, period_from, unread_from, through, starts, sum_in)
select $1, $2::timestamptz, $2::timestamptz, $3::timestamptz, array_agg(starts order by n), array_agg(sum_in order by n)
from unnest($4::timestamptz[], $5::integer[]) with ordinality s (starts, sum_in, n) where starts < $3::timestamptz
on conflict (account_id, period_from) do update set unread_from = excluded.unread_from, through = excluded.through,
    starts = excluded.starts, sum_in = excluded.sum_in, made_at = null;

-- name: sums_clear
delete from usage_sum where account_id = $1 and period_from = $2::timestamptz;

-- name: sums_on
-- They go on to $3.
update usage_sum_run set unread_from = through, through = $3::timestamptz, starts = s.starts, sum_in = s.sum_in
from (select array_agg(starts order by n) as starts, array_agg(sum_in order by n) as sum_in
    from unnest($4::timestamptz[], $5::integer[]) with ordinality s (starts, sum_in, n) where starts < $3::timestamptz) s
where account_id = $1 and period_from = $2::timestamptz;

-- name: sums_add
insert into usage_sum select * from usage_unsummed($2::timestamptz, $3::timestamptz, false)
where account_id = $1 and period_from = $2::timestamptz
on conflict (account_id, period_from, resource_id, vm_id, stretch) do update set
    windows = usage_sum.windows + excluded.windows, simulated = usage_sum.simulated or excluded.simulated,
    vcpu_ns = usage_sum.vcpu_ns + excluded.vcpu_ns, disk_read_bytes = usage_sum.disk_read_bytes + excluded.disk_read_bytes,
    disk_write_bytes = usage_sum.disk_write_bytes + excluded.disk_write_bytes,
    disk_read_requests = usage_sum.disk_read_requests + excluded.disk_read_requests,
    disk_write_requests = usage_sum.disk_write_requests + excluded.disk_write_requests,
    net_rx_bytes = usage_sum.net_rx_bytes + excluded.net_rx_bytes, net_tx_bytes = usage_sum.net_tx_bytes + excluded.net_tx_bytes;

-- name: sums_made
update usage_sum_run set made_at = now() where account_id = $1 and period_from = $2::timestamptz;

-- name: sums_close
-- All windows of a period that is drawn up: their sums and their prints, from one reading.
select usage_sum_close($1, $2::timestamptz, $3::timestamptz);

-- name: usage_print_drawn
select usage_print_drawn($1, $2::timestamptz, $3::timestamptz);

-- name: sums_forget
-- What came late is taken out,
delete from usage_sum s using usage_touched t
where s.account_id = $1 and s.period_from = $2::timestamptz and t.account_id = $1 and t.resource_id = s.resource_id
    and t.window_from >= $2::timestamptz and t.window_from < $3::timestamptz;

-- name: sums_again
-- from the period's begin on,
update usage_sum_run set unread_from = period_from where account_id = $1 and period_from = $2::timestamptz;

-- name: sums_touched
-- and read again.
insert into usage_sum select * from usage_unsummed($2::timestamptz, $3::timestamptz, false)
where account_id = $1 and period_from = $2::timestamptz and resource_id = any (array(select t.resource_id from usage_touched t
    where t.account_id = $1 and t.window_from >= $2::timestamptz and t.window_from < $3::timestamptz));

-- name: touched_done
-- All that this transaction sees, and no more: what is written meanwhile is seen by the next one.
delete from usage_touched where account_id = $1;

-- name: touched_forget
-- Of accounts that nobody rates any more; no sum is kept for so long.
delete from usage_touched where noted_at < now() - interval '2 days';

-- name: sums_gone
-- The period is drawn up.
with gone as (delete from usage_sum_run where account_id = $1 and period_from = $2::timestamptz)
delete from usage_sum where account_id = $1 and period_from = $2::timestamptz;

-- name: sums_unmade
-- From when to when periods reach whose sums are to be made, of our shards.
select min(period_from), max(through) from usage_sum_run
where made_at is null and mod(account_id, $1::bigint) = any ($2::bigint[]);

-- name: sums_fill
-- All of them at once, in the order in which the rows lie.
insert into usage_sum select * from usage_unsummed($3::timestamptz, $4::timestamptz, true)
where mod(account_id, $1::bigint) = any ($2::bigint[]);

-- name: sums_filled
update usage_sum_run set made_at = now() where made_at is null and mod(account_id, $1::bigint) = any ($2::bigint[]);

-- name: account_count
select count(*) from account;

-- name: bill_usage_open
declare bill_usage no scroll cursor for
select * from bill_usage($1::bigint, $2::timestamptz, $3::timestamptz, $4::timestamptz[], $5::integer[], $6::timestamptz) order by 1, 2, 6, 25, 27;

-- name: bill_usage_few
-- The same at once, where it is not much.
select * from bill_usage($1::bigint, $2::timestamptz, $3::timestamptz, $4::timestamptz[], $5::integer[], $6::timestamptz) order by 1, 2, 6, 25, 27 limit 1000;

-- name: bill_usage_next
fetch 1000 from bill_usage;

-- name: bill_usage_close
close bill_usage;

-- name: accrual_put
-- Lines of one account as a JSON list.  Absolute states: written again they change nothing,
-- later ones replace them.
insert into accrual (account_id, period_from, line_key, period_to, sku, resource_uuid, resource_name,
    tariff_id, tariff_version, currency, quantity, unit, exact, amount, band, through, generation)
select $1, $2, key, $3, sku, resource, name, tariff, version, $4, quantity, unit, exact, amount, band, $5, $6
from jsonb_to_recordset($7::jsonb) as line (key text, sku text, resource uuid, name text, tariff bigint,
    version integer, quantity text, unit text, exact text, amount numeric, band text)
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

---------------------------------------------------------------- drawing up

-- name: draw_tags
-- The words that are pinned on an account's resources at this moment.
select resource_uuid, jsonb_object_agg(key, value order by key)::text from tag
where account_id = $1 group by resource_uuid order by resource_uuid;

-- name: draw_lock
-- The period, if it waits for its lines.
select nextval('statement_id_seq') from billing_period
where account_id = $1 and starts = $2::timestamptz and drawn_at is null for update;

-- name: draw_lines
-- Documents of lines as a JSON list of texts, the first of them line $3 + 1.
insert into statement_line (account_id, statement_id, line_no, for_period, document)
select $1, $2, $3::bigint + place, (doc->>'period')::timestamptz, doc->>'document'
from jsonb_array_elements($4::jsonb) with ordinality as line (doc, place);

-- name: draw_done
update billing_period set drawn_at = $3, statement_id = $4, draft = $5, settled = $6
where account_id = $1 and starts = $2::timestamptz and drawn_at is null;

-- name: lines_digest
-- One text of the lines' digests, in order: 64 letters a line.
select count(*), encode(sha256(convert_to(coalesce(string_agg(
    encode(sha256(convert_to(document, 'UTF8')), 'hex'), '' order by line_no), ''), 'UTF8')), 'hex')
from statement_line where account_id = $1 and statement_id = $2;

-- name: usage_print
select usage_print($1, $2, $3);

-- name: late_periods
-- Closed periods whose usage may have changed since it was charged.
select (extract(epoch from p.starts) * 1000000)::bigint, (extract(epoch from p.ends) * 1000000)::bigint,
    p.settled, s.name
from billing_period p left join statement s on s.account_id = p.account_id and s.id = p.statement_id
where p.account_id = $1 and p.closed_at is not null and p.ends > $2::timestamptz
order by p.starts;

-- name: late_settled
update billing_period set settled = $3 where account_id = $1 and starts = $2::timestamptz;

-- name: late_billed
-- All that was ever charged or given back for the usage of one period.
select l.doc->>'sku', l.doc->'resource'->>'id', l.doc->'resource'->>'name', l.doc->>'band', l.doc->>'unit',
    x.tax->>'class', x.tax->>'rate', x.tax->>'mode', x.tax->>'rounding', l.doc->>'quantity', l.doc->>'amount'
from (select statement_id, document::jsonb as doc from statement_line
      where account_id = $1 and for_period = $2::timestamptz) l
join statement s on s.account_id = $1 and s.id = l.statement_id
cross join lateral (select s.document::jsonb->'body'->'taxes'->((l.doc->>'tax')::integer) as tax) x;

---------------------------------------------------------------- issuing

-- name: issue_next
-- The statement that comes next in the series: the earliest end, then the lowest account, of
-- all periods that are due.  None while that one is not drawn up yet, or while an account has
-- not been looked at for today; an account in trouble is passed over.  So the order of the
-- numbers does not hang on who worked when.
with next as (
    select p.account_id, p.starts, p.drawn_at is not null as drawn
    from api_billing_period p left join billing_trouble b on b.account_id = p.account_id
    where p.closed_at is null and p.due <= $1::timestamptz and b.text is null
    order by p.ends, p.account_id limit 1
)
select n.account_id, (extract(epoch from n.starts) * 1000000)::bigint
from next n
where n.drawn and not exists (
    select from account a left join billing_trouble b on b.account_id = a.id
    where a.removed is null and b.text is null and a.created <= $1::timestamptz and not exists (
        select from billing_period p
        where p.account_id = a.id and p.starts <= $1::timestamptz and p.ends > $1::timestamptz));

-- name: issue_draft
-- What was drawn up, and the days it is about.
select p.statement_id, p.draft, to_char(p.starts at time zone p.zone, 'YYYY-MM-DD'),
    to_char((p.ends - interval '1 second') at time zone p.zone, 'YYYY-MM-DD')
from billing_period p
where p.account_id = $1 and p.starts = $2::timestamptz and p.drawn_at is not null and p.closed_at is null
for update;

-- name: issue_parties
-- Who issues it to whom, and in which year.
select a.uuid, a.name, coalesce(nullif(t.customer, ''), a.name), d.path,
    i.id, i.name, i.legal_name, i.address, i.tax_number, i.note, i.number_form,
    coalesce(t.kind, case when i.legal_name = '' then 'showback' else 'invoice' end),
    extract(year from $2::timestamptz at time zone i.timezone)::integer,
    to_char($2::timestamptz at time zone i.timezone, 'YYYY-MM-DD'), a.locale
from account a
join domain d on d.id = a.domain_id
left join billing_terms t on t.account_id = a.id
join issuer i on i.id = coalesce($3::bigint, t.issuer_id, (select min(id) from issuer))
where a.id = $1;

-- name: issue_number
select coalesce(max(number), 0) + 1 from statement_number where issuer_id = $1 and series = $2 and year = $3;

-- name: issue_previous
select s.name, s.sha256
from statement_number n join statement s on s.account_id = n.account_id and s.id = n.statement_id
where n.issuer_id = $1 and n.series = $2 order by n.year desc, n.number desc limit 1;

-- name: issue_number_put
insert into statement_number (issuer_id, series, year, number, account_id, statement_id)
values ($1, $2, $3, $4, $5, $6);

-- name: issue_statement
insert into statement (account_id, id, uuid, kind, issuer_id, series, year, number, name, period_from, period_to,
    issued_at, currency, subtotal, tax, total, due, refers_to, document, sha256)
values ($1, $2, md5($3)::uuid, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19::text,
    encode(sha256(convert_to($19::text, 'UTF8')), 'hex'))
returning uuid;

-- name: issue_credits
-- What is left of an account's credits, those that end first first; what has ended before the
-- period's end is gone.
select g.uuid, g.name, (-b.balance)::text, to_char(g.expires at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
from credit_grant g
join ledger_balance b on b.account_id = g.account_id and b.ledger = 'credit/' || g.uuid and b.currency = g.currency
where g.account_id = $1 and g.currency = $2 and (g.expires is null or g.expires >= $3::timestamptz) and b.balance < 0
order by g.expires nulls last, g.granted_at, g.uuid;

-- name: issue_prepaid
select coalesce(sum(-balance), 0)::text from ledger_balance
where account_id = $1 and ledger = 'prepaid' and currency = $2 and balance < 0;

-- name: issue_post
select statement_post($1, $2, $3::uuid);

-- name: issue_seal
select chain_period($1, $2, $3);

-- name: note_seal
select chain_statement($1, $2::uuid, $3);

-- name: note_next
-- The oldest request that nobody has carried out.
select account_id, uuid, request from billing_request where state = 'pending'
order by created, account_id, uuid limit 1;

-- name: note_finish
update billing_request set state = $3, answer = $4, finished = $5
where account_id = $1 and uuid = $2::uuid and state = 'pending';

-- name: note_original
select id, issuer_id, series, name, sha256, document, nextval('statement_id_seq')
from statement
where account_id = $1 and kind <> 'credit_note' and (uuid::text = lower($2) or name = $2) order by id limit 2;

-- name: note_lines
-- What a statement charges by sku and tax, and what credit notes have given back of it.
select l.doc->>'sku', (l.doc->>'tax')::integer,
    coalesce(sum((l.doc->>'amount')::numeric) filter (where s.id = $2), 0)::text, sum((l.doc->>'amount')::numeric)::text
from statement s
join lateral (select x.document::jsonb as doc from statement_line x
              where x.account_id = s.account_id and x.statement_id = s.id) l on true
where s.account_id = $1 and (s.id = $2 or s.refers_to = $2)
group by 1, 2 order by 1, 2;

-- name: chain_tariffs
select chain_tariffs($1);

-- name: chain_usage
select chain_usage($1, $2, $3, $4);

-- name: look_periods
-- Closed periods whose usage was not looked at for a day.
select (extract(epoch from starts) * 1000000)::bigint, usage_print(account_id, starts, ends)
from billing_period
where account_id = $1 and closed_at is not null and ends > $2::timestamptz
  and coalesce(looked_at, closed_at) < $3::timestamptz - interval '1 day';

-- name: look_done
update billing_period set looked_at = $3 where account_id = $1 and starts = $2::timestamptz;

-- name: audit_verify
select seq, kind, key, problem from audit_verify($1::boolean) limit 1000;

-- name: audit_head
select h.seq, h.hash, (select count(*) from chain), (select count(*) from chain where kind = 'statement') from chain_head h;

-- name: credit_expire
-- What is left of credits that ended goes back, once all periods up to their end are closed.
select ledger_transfer(g.account_id, 'credit/' || g.uuid || '/expired', 'credit/' || g.uuid, 'promotion', g.currency,
    -b.balance, 'credit ' || g.name || ' expired', null, $1::timestamptz)
from credit_grant g
join ledger_balance b on b.account_id = g.account_id and b.ledger = 'credit/' || g.uuid and b.currency = g.currency
where g.expires < $1::timestamptz and b.balance < 0
  and not exists (select from billing_period p where p.account_id = g.account_id and p.closed_at is null
                  and p.ends <= g.expires);

-- name: issue_close
update billing_period set closed_at = $3
where account_id = $1 and starts = $2::timestamptz and closed_at is null;

---------------------------------------------------------------- reading statements

-- name: statement_find
select account_id, id, document from statement
where (uuid::text = lower($1) or name = $1) and ($2::bigint is null or account_id = $2::bigint)
order by account_id, id limit 2;

-- name: statement_lines
select line_no, document from statement_line
where account_id = $1 and statement_id = $2 and line_no > $3::bigint order by line_no limit 1000;

---------------------------------------------------------------- limits and budgets

-- name: standing_terms
-- Funds: what was paid in advance and credits that are left, or what is owed as a negative.
select coalesce(t.prepaid, false), t.credit_limit::text, coalesce(t.policy, 'warn'),
    (case when coalesce(t.prepaid, false) then 0 else coalesce((select sum(-b.balance) from ledger_balance b
        where b.account_id = $1 and b.ledger = 'receivable' and b.currency = $2), 0) end
     + coalesce((select sum(-b.balance) from ledger_balance b
        where b.account_id = $1 and b.ledger = 'prepaid' and b.currency = $2), 0)
     + coalesce((select sum(-b.balance) from credit_grant g join ledger_balance b on b.account_id = g.account_id
        and b.ledger = 'credit/' || g.uuid where g.account_id = $1 and g.currency = $2
        and (g.expires is null or g.expires >= $3::timestamptz)), 0))::text
from account a left join billing_terms t on t.account_id = a.id
where a.id = $1;

-- name: standing_put
insert into account_standing (account_id, currency, prepaid, balance, credit_limit, charged, used_percent, level,
    action, lock_at, through, generation)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (account_id) do update set currency = excluded.currency, prepaid = excluded.prepaid,
    balance = excluded.balance, credit_limit = excluded.credit_limit, charged = excluded.charged,
    used_percent = excluded.used_percent, level = excluded.level, action = excluded.action,
    lock_at = excluded.lock_at, through = excluded.through, generation = excluded.generation
where excluded.generation > account_standing.generation;

-- name: budget_list
select uuid, scope, case scope when 'resource' then lower(value) else value end, currency from budget
where account_id = $1 and removed is null and ($2::uuid is null or uuid = $2::uuid)
order by created, uuid;

-- name: budget_things
-- What has the tag key=value now.
select resource_uuid::text from tag where account_id = $1 and key || '=' || value = $2
group by 1 order by resource_uuid::text collate "C";

-- name: budget_put
-- What a budget has come to; where bill and budget are of two currencies there is nothing to compare.
insert into budget_state (account_id, budget_uuid, period_from, spent, forecast, reached, level, through, generation)
select b.account_id, b.uuid, $3::timestamptz, x.spent, x.forecast, budget_reached(b, x.spent), budget_level(b, x.spent),
    $7::timestamptz, $8::bigint
from budget b, (select $5::numeric as spent, $6::numeric as forecast) x
where b.account_id = $1 and b.uuid = $2::uuid and b.removed is null and b.currency = $4
on conflict (account_id, budget_uuid) do update set period_from = excluded.period_from, spent = excluded.spent,
    forecast = excluded.forecast, reached = excluded.reached, level = excluded.level, through = excluded.through,
    generation = excluded.generation
where excluded.generation > budget_state.generation;

---------------------------------------------------------------- explaining

-- name: explain_line
select l.document, p.starts is not null as closed, (extract(epoch from p.starts) * 1000000)::bigint,
    (extract(epoch from p.ends) * 1000000)::bigint, s.name,
    (s.document::jsonb->'body'->'tariffs'->((l.document::jsonb->>'tariff')::integer))::text
from statement s
join statement_line l on l.account_id = s.account_id and l.statement_id = s.id and l.line_no = $3::bigint
left join billing_period p on p.account_id = s.account_id and p.starts = l.for_period
where s.account_id = $1 and s.id = $2;

-- name: explain_price
-- A price as it stands in its list.
select (v.document::jsonb->'prices'->($3::integer))::text
from tariff_version v where v.tariff_id = $1 and v.version = $2::integer;

-- name: explain_starts
-- When the windows of a VM begin ($6: they are asked for), and when what was told of a sku was.
select (extract(epoch from w.window_from) * 1000000)::bigint
from usage_window w
where $6::boolean and w.account_id = $1 and w.window_from >= $3::timestamptz and w.window_from < $4::timestamptz
  and w.vm_id in (select resource_id from lifetime where account_id = $1 and resource_uuid = $2::uuid
                  union select id from vm where account_id = $1 and uuid = $2::uuid)
union
select (extract(epoch from i.used_from) * 1000000)::bigint
from usage_import i
where i.account_id = $1 and i.kind = 'amount' and i.used_from >= $3::timestamptz and i.used_from < $4::timestamptz
  and i.sku = $5 and ($2::uuid is null or i.resource_uuid = $2::uuid)
order by 1 limit 10000;

-- name: explain_windows
-- The windows behind the consumption of a VM, with the raw counters that they were taken from.
select w.window_from, w.window_to, w.through, w.resource_kind, w.resource_id, w.epoch, w.samples, w.resets,
    case $5 when 'cpu.time' then w.vcpu_ns when 'disk.read.bytes' then w.disk_read_bytes
        when 'disk.write.bytes' then w.disk_write_bytes when 'disk.read.requests' then w.disk_read_requests
        when 'disk.write.requests' then w.disk_write_requests when 'net.rx.bytes' then w.net_rx_bytes
        else w.net_tx_bytes end as value,
    case $5 when 'cpu.time' then array_to_string(w.raw_vcpu_ns, '+') when 'disk.read.bytes' then w.raw_disk_read::text
        when 'disk.write.bytes' then w.raw_disk_write::text when 'disk.read.requests' then w.raw_disk_read_req::text
        when 'disk.write.requests' then w.raw_disk_write_req::text when 'net.rx.bytes' then w.raw_net_rx::text
        else w.raw_net_tx::text end as raw
from usage_window w
where w.account_id = $1 and w.window_from >= $3::timestamptz and w.window_from < $4::timestamptz
  and w.resource_kind = case when $5 = 'cpu.time' then 'vm' when $5 like 'disk.%' then 'volume' else 'nic' end
  and w.vm_id in (select resource_id from lifetime where account_id = $1 and resource_uuid = $2::uuid
                  union select id from vm where account_id = $1 and uuid = $2::uuid)
order by w.window_from, w.resource_id limit 2000;

-- name: explain_act
-- What was said of a gap in metering by a record that is told for it, or that sets such a one right.
select a.record, a.user_name, to_char(a.made_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    to_char(g.gap_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    to_char(g.gap_to at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), a.reason
from meter_gap_act a
join meter_gap g on g.account_id = a.account_id and g.resource_id = a.resource_id and g.gap_from = a.gap_from
where a.account_id = $1 and a.record in ($2, (select i.corrects from usage_import i
    where i.account_id = $1 and i.source = 'jeoul.gap' and i.record = $2));

-- name: explain_charged
-- What else was charged or given back for the same thing in the same period.
select s.name, l.line_no, l.document::jsonb->>'kind', l.document::jsonb->>'quantity', l.document::jsonb->>'amount'
from statement_line l join statement s on s.account_id = l.account_id and s.id = l.statement_id
where l.account_id = $1 and l.for_period = $2::timestamptz and l.document::jsonb->>'sku' = $3
  and l.document::jsonb->'resource'->>'id' is not distinct from $4
  and l.document::jsonb->>'band' is not distinct from $5
order by s.issued_at, s.number, l.line_no limit 1000;

-- name: explain_account
select id from account a
where ($1::text is not null or $2::text is not null) and ($1::text is null or a.name = $1 or a.uuid::text = lower($1))
  and ($2::text is null or exists (select from statement s where s.account_id = a.id and (s.name = $2 or s.uuid::text = lower($2))))
limit 2;

---------------------------------------------------------------- what became of usage

-- name: balance_read
-- The same as balance_put, for who may only look.
with made as (
    select sku, rated, unrated, rejected, pending
    from jsonb_to_recordset($5::jsonb) x (sku text, rated bigint, unrated bigint, rejected bigint, pending bigint)
), both_sides as (
    select coalesce(r.sku, m.sku) as sku, coalesce(r.received, 0) as received, coalesce(m.rated, 0) as rated,
        coalesce(m.unrated, 0) as unrated, coalesce(m.rejected, 0) as rejected,
        coalesce(r.pending, 0) + coalesce(m.pending, 0) as pending
    from usage_received($1, $2::timestamptz, $3::timestamptz, $4::timestamptz, $8::timestamptz) r full join made m on m.sku = r.sku
    where m.sku is not null or not (r.sku = any ($6::text[]))
)
select sku, received, rated, unrated, rejected, pending, received <> rated + unrated + rejected + pending
from both_sides where $7::bigint is not null order by sku;

-- name: balance_put
-- $8: up to where windows were taken from the kept sums.  Beside what was received by sku what the rating made of it ($5, as JSON).  Measures that
-- need no price ($6) count only where they have one.  Answers the skus that don't add up.
with made as (
    select sku, rated, unrated, rejected, pending
    from jsonb_to_recordset($5::jsonb) x (sku text, rated bigint, unrated bigint, rejected bigint, pending bigint)
), both_sides as (
    select coalesce(r.sku, m.sku) as sku, coalesce(r.received, 0) as received, coalesce(m.rated, 0) as rated,
        coalesce(m.unrated, 0) as unrated, coalesce(m.rejected, 0) as rejected,
        coalesce(r.pending, 0) + coalesce(m.pending, 0) as pending
    from usage_received($1, $2::timestamptz, $3::timestamptz, $4::timestamptz, $8::timestamptz) r full join made m on m.sku = r.sku
    where m.sku is not null or not (r.sku = any ($6::text[]))
), kept as (
    insert into usage_balance (account_id, period_from, sku, received, rated, unrated, rejected, pending, through, generation)
    select $1, $2::timestamptz, sku, received, rated, unrated, rejected, pending, $3::timestamptz, $7::bigint
    from both_sides
    on conflict (account_id, period_from, sku) do update set received = excluded.received, rated = excluded.rated,
        unrated = excluded.unrated, rejected = excluded.rejected, pending = excluded.pending,
        through = excluded.through, generation = excluded.generation
    where excluded.generation >= usage_balance.generation
)
select sku, received, rated, unrated, rejected, pending,
    received <> rated + unrated + rejected + pending as lost
from both_sides order by sku;

---------------------------------------------------------------- trying out price lists

-- name: simulate_within
-- The middle of a month of an account's zone.
select (extract(epoch from ((to_date($2 || '-15', 'YYYY-MM-DD')) + interval '12 hours') at time zone a.timezone) * 1000000)::bigint
from account a where a.id = $1;

---------------------------------------------------------------- exports

-- name: export_accounts
-- Those whose documents or usage may be in a range; by number, from one on.
select a.id, a.name from account a
where a.id > $1::bigint and ($2::text is null or a.name = $2 or a.uuid::text = lower($2)) order by a.id limit 200;

-- name: export_documents
-- Whole documents whose periods begin in the range, in their order.
select id, uuid from statement
where account_id = $1 and period_from >= $2::timestamptz and period_from < $3::timestamptz and id > $4::bigint
order by id limit 100;

-- name: export_open_period
-- Periods that are not closed and begin in the range: what they have come to is exported.
select (extract(epoch from starts) * 1000000)::bigint from billing_period
where account_id = $1 and closed_at is null and starts >= $2::timestamptz and starts < $3::timestamptz and starts <= $4::timestamptz
order by starts;

-- name: export_usage_open
-- Records of usage as they would be told by import: what lasts with its times, what is counted with the
-- end of its window, where it was counted to.
declare export_usage no scroll cursor for
with record as (
    select 'jeoul' as source, l.kind || '/' || l.resource_uuid || '/' || to_char(l.valid_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as id,
        k.sku, k.unit, k.quantity, null::timestamptz as at, l.valid_from as since, l.valid_to as until, null::bigint as seq,
        l.resource_uuid as resource, l.resource_name as name, jsonb_strip_nulls(jsonb_build_object('offering', o.name, 'simulated',
            case when l.simulated then 'true' end)) as tags
    from lifetime l left join offering o on o.id = l.offering_id
    cross join lateral (values ('running', 'vm.running', 'VM', 1::numeric), ('running', 'vcpu', 'vCPU', l.vcpus::numeric),
        ('running', 'memory.gib', 'GiB', l.memory_bytes * 0.000000000931322574615478515625),
        ('allocated', 'vm.allocated', 'VM', 1), ('volume', 'volume.gib', 'GiB', l.size_bytes * 0.000000000931322574615478515625),
        ('snapshot', 'snapshot.gib', 'GiB', l.size_bytes * 0.000000000931322574615478515625),
        ('vm_snapshot', 'vm.snapshot.gib', 'GiB', l.size_bytes * 0.000000000931322574615478515625),
        ('template', 'template.gib', 'GiB', l.size_bytes * 0.000000000931322574615478515625),
        ('iso', 'iso.gib', 'GiB', l.size_bytes * 0.000000000931322574615478515625),
        ('network', 'network', 'network', 1), ('address', 'address', 'address', 1), ('port_forward', 'port.forward', 'forward', 1),
        ('security_group', 'security.group', 'group', 1), ('host', 'host.socket', 'socket', l.sockets), ('host', 'host.core', 'core', l.cores),
        ('host', 'host.core16', 'core', case when l.cores is not null then greatest(l.cores, 16 * l.sockets) end))
        k (kind, sku, unit, quantity)
    where l.account_id = $1 and l.valid_from < $3::timestamptz and (l.valid_to is null or l.valid_to > $2::timestamptz)
        and k.kind = l.kind and k.quantity is not null
    union all
    select 'jeoul', w.resource_kind || '/' || w.resource_id || '/' || to_char(w.window_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        k.sku, k.unit, k.quantity, w.window_from, w.window_from, least(w.window_to, w.through), null,
        coalesce(n.resource_uuid, v.uuid, lpad(to_hex(w.vm_id), 32, '0')::uuid), coalesce(n.resource_name, v.name, 'VM number ' || w.vm_id),
        case when w.simulated then '{"simulated":"true"}'::jsonb else '{}' end
    from usage_window w
    left join vm v on v.account_id = w.account_id and v.id = w.vm_id
    left join lateral (select resource_uuid, resource_name from lifetime l where l.account_id = w.account_id and l.resource_id = w.vm_id
        and l.kind in ('running', 'allocated') order by l.valid_from desc limit 1) n on true
    cross join lateral (values ('vm', 'cpu.time', 'vCPU-second', w.vcpu_ns * 0.000000001), ('volume', 'disk.read.bytes', 'byte', w.disk_read_bytes),
        ('volume', 'disk.write.bytes', 'byte', w.disk_write_bytes), ('volume', 'disk.read.requests', 'request', w.disk_read_requests),
        ('volume', 'disk.write.requests', 'request', w.disk_write_requests), ('nic', 'net.rx.bytes', 'byte', w.net_rx_bytes),
        ('nic', 'net.tx.bytes', 'byte', w.net_tx_bytes)) k (kind, sku, unit, quantity)
    where w.account_id = $1 and w.window_from >= $2::timestamptz and w.window_from < $3::timestamptz and k.kind = w.resource_kind
    union all
    select i.source, i.record, i.sku, i.unit, i.quantity, case when i.kind = 'amount' then i.used_from end,
        case when i.kind = 'level' then i.used_from end, i.used_to, case when i.kind = 'level' then i.seq end, i.resource_uuid, i.resource_name, i.tags
    from usage_import_state i
    where i.account_id = $1 and i.state = 'current' and i.used_from < $3::timestamptz and case i.kind
        when 'amount' then i.used_from >= $2::timestamptz else i.used_to is null or i.used_to > $2::timestamptz end
)
select a.name as account, r.source, r.id, r.sku, r.unit, trim_scale(r.quantity)::text as quantity,
    case when r.at is not null then to_char(r.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') end as at,
    to_char(r.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "from",
    to_char(r.until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "to", r.seq, r.resource, r.name as resource_name, r.tags
from record r, account a where a.id = $1
order by coalesce(r.since, r.at), r.resource, r.sku collate "C", r.source collate "C", r.id collate "C";

-- name: export_usage_next
fetch 2000 from export_usage;

-- name: export_usage_close
close export_usage;

---------------------------------------------------------------- costs

-- name: cost_accounts
-- Those in sight, and the projects in which an account works.
select a.id from account a union select projects_of($1::bigint) where $1::bigint is not null order by 1 limit $2;

-- name: cost_account
select a.uuid, a.name, a.timezone, coalesce(project_of(a.id), '') from account a where a.id = $1;

-- name: cost_documents
-- What a report is about, in order of time: a named statement, or periods that have one of the days
-- of their own calendar, or the one that is open; and credit notes.
select (extract(epoch from p.starts) * 1000000)::bigint, (extract(epoch from p.ends) * 1000000)::bigint, p.zone,
    p.closed_at is not null, s.uuid, false as note, s.number
from billing_period p left join statement s on s.account_id = p.account_id and s.id = p.statement_id
where p.account_id = $1 and case when $4::text is not null then s.uuid::text = lower($4) or s.name = $4
    when $2::text is null and $3::text is null then p.starts <= $5::timestamptz and p.ends > $5::timestamptz
    else p.starts <= $5::timestamptz and ($2::text is null or p.ends > local_instant($2::date::timestamp, p.zone))
        and ($3::text is null or p.starts < local_instant(($3::date + 1)::timestamp, p.zone)) end
union all
select (extract(epoch from s.period_from) * 1000000)::bigint, (extract(epoch from s.period_to) * 1000000)::bigint, z.zone,
    true, s.uuid, true, s.number
from statement s cross join lateral (select s.document::jsonb->'body'->'period'->>'timezone' as zone) z
where s.account_id = $1 and s.kind = 'credit_note' and case when $4::text is not null then s.uuid::text = lower($4) or s.name = $4
    when $2::text is null and $3::text is null then false
    else ($2::text is null or s.period_to > local_instant($2::date::timestamp, z.zone))
        and ($3::text is null or s.period_from < local_instant(($3::date + 1)::timestamp, z.zone)) end
order by 1, 6, 7;

-- name: cost_days
-- The local days of a zone that a period touches, and when each begins in it; a day that a zone
-- left out of its calendar has no length.
with bounds as (
    select date_trunc('day', $2::timestamptz at time zone $1) as lo,
        date_trunc('day', ($3::timestamptz - interval '1 microsecond') at time zone $1) as hi
)
select to_char(d, 'YYYY-MM-DD'), (extract(epoch from greatest(local_instant(d, $1), $2::timestamptz)) * 1000000)::bigint
from bounds, generate_series(lo, hi, '1 day') d
where local_instant(d + interval '1 day', $1) > local_instant(d, $1)
order by d;

-- name: cost_tags
-- The values of a tag on an account's resources at this moment.
select resource_uuid::text, value from tag where account_id = $1 and key = $2 order by resource_uuid::text collate "C";
