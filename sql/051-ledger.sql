-- Ledger: double entry, append-only; a hash chain over price lists, periods, statements,
-- credits, entries and the usage that was charged; and the question whether all is as it was.

---------------------------------------------------------------- entries

-- A transfer from one ledger of an account to another: it balances by itself, so that after
-- any prefix of any history debits are credits.  A mistake is corrected by a further entry
-- that names it.  The key is chosen by who posts: a second try changes nothing.
create table ledger_entry (
    account_id  bigint not null references account,
    posting_key text not null check (length(posting_key) between 1 and 200),
    at          timestamptz not null,
    debit       text not null,
    credit      text not null,
    currency    text not null check (currency ~ '^[A-Z]{3}$'),
    amount      numeric not null check (amount > 0),
    reason      text not null check (length(reason) <= 300),
    statement   uuid,                 -- that it belongs to
    corrects    text,                 -- posting_key of the entry that it takes back
    user_id     bigint,
    primary key (account_id, posting_key),
    check (debit <> credit),
    check (debit ~ '^(receivable|prepaid|cash|promotion|writeoff|tax-included|(credit|revenue|tax)/[^[:cntrl:]]{1,100})$'),
    check (credit ~ '^(receivable|prepaid|cash|promotion|writeoff|tax-included|(credit|revenue|tax)/[^[:cntrl:]]{1,100})$')
);
comment on table ledger_entry is 'account_keyed: transfers between the ledgers of an account; append-only';

-- When the usage of a closed period was last compared with what was charged.
alter table billing_period add column looked_at timestamptz;
grant update (looked_at) on billing_period to jeoul_billing;

create view ledger_balance with (security_invoker = true) as
select account_id, ledger, currency, sum(amount) as balance -- debits less credits
from (select account_id, debit as ledger, currency, amount from ledger_entry
      union all select account_id, credit, currency, -amount from ledger_entry) sides
group by account_id, ledger, currency;

-- Which ledger of revenue a sku goes to.
create function sku_class(sku text) returns text language sql immutable parallel safe as $$
    select case when sku like 'host.%' then 'licences' when sku like 'net.%' then 'network'
        when sku like 'volume.%' or sku like 'disk.%' then 'storage'
        when sku like 'vm.%' or sku like 'cpu.%' or sku like 'memory.%' or sku = 'vcpu' then 'compute'
        else 'other' end
$$;

create table credit_grant (
    account_id bigint not null references account,
    uuid       uuid not null,
    name       text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    currency   text not null check (currency ~ '^[A-Z]{3}$'),
    amount     numeric not null check (amount > 0),
    expires    timestamptz,
    granted_at timestamptz not null,
    user_id    bigint,
    primary key (account_id, uuid)
);
comment on table credit_grant is 'account_keyed: what an account may use up instead of paying; append-only';

---------------------------------------------------------------- the print, with gauges

create or replace function usage_print(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp as $$
    select encode(sha256(convert_to(coalesce(string_agg(print, '' order by kind, resource_id), ''), 'UTF8')), 'hex')
    from (
        select 1 as kind, resource_id, encode(sha256(convert_to(string_agg(row(kind, valid_from,
                case when valid_to <= until then valid_to end, resource_uuid, resource_name, vm_id, host_id,
                offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, open_reason,
                case when valid_to <= until then close_reason end, recorded_at)::text,
                E'\n' order by kind, valid_from), 'UTF8')), 'hex') as print
        from lifetime
        where account_id = account and valid_from < until and (valid_to is null or valid_to >= since - interval '1 day')
        group by resource_id
        union all
        select 2, resource_id, encode(sha256(convert_to(string_agg(row(window_from, window_to, resource_kind, vm_id,
                through, epoch, cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes,
                disk_read_requests, disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx,
                raw_disk_read, raw_disk_write, raw_disk_read_req, raw_disk_write_req, samples, resets,
                simulated, memory_bytes, memory_rss_bytes, memory_unused_bytes, capacity_bytes, allocation_bytes,
                physical_bytes)::text, E'\n' order by window_from), 'UTF8')), 'hex')
        from usage_window
        where account_id = account and window_from >= since and window_from < until
        group by resource_id
    ) prints
$$;

---------------------------------------------------------------- the chain

create table chain (
    seq     bigint primary key,
    kind    text not null,            -- tariff, period, statement, entry, credit, usage
    key     text not null,
    at      timestamptz not null,
    content text not null,            -- digest of what it is about
    hash    text not null,            -- of this row and of the hash before it
    unique (kind, key)
);
comment on table chain is 'local: each thing that may not change, once, in order; append-only';
create table chain_head (
    id   bigint primary key check (id = 1),
    seq  bigint not null,
    hash text not null
);
comment on table chain_head is 'local: where the chain ends';
insert into chain_head values (1, 0, 'jeoul');

create function chain_hash(before text, seq bigint, kind text, key text, at timestamptz, content text) returns text
language sql immutable parallel safe as $$
    select encode(sha256(convert_to(concat_ws(E'\n', before, seq, kind, key,
        extract(epoch from at)::numeric(20, 6), content), 'UTF8')), 'hex')
$$;

-- Digests of things as they are now; times go in as numbers, so that no setting changes them.
create function sealed(content text) returns text language sql immutable parallel safe as $$
    select encode(sha256(convert_to(content, 'UTF8')), 'hex')
$$;
create function tariff_digest(t tariff, v tariff_version) returns text language sql immutable parallel safe as $$
    select sealed(row(t.id, t.uuid, t.name, v.version, v.document, v.sha256, extract(epoch from v.recorded_at),
        v.recorded_by)::text)
$$;
create function period_digest(p billing_period) returns text language sql immutable parallel safe as $$
    select sealed(row(p.account_id, extract(epoch from p.starts), extract(epoch from p.ends), p.zone, p.tzdata,
        extract(epoch from p.drawn_at), p.statement_id, p.draft, extract(epoch from p.closed_at))::text)
$$;
create function entry_digest(e ledger_entry) returns text language sql immutable parallel safe as $$
    select sealed(row(e.account_id, e.posting_key, extract(epoch from e.at), e.debit, e.credit, e.currency, e.amount,
        e.reason, e.statement, e.corrects, e.user_id)::text)
$$;
create function credit_digest(c credit_grant) returns text language sql immutable parallel safe as $$
    select sealed(row(c.account_id, c.uuid, c.name, c.currency, c.amount, extract(epoch from c.expires),
        extract(epoch from c.granted_at), c.user_id)::text)
$$;
create function statement_digest(s statement) returns text language sql stable set search_path = jeoul, pg_temp as $$
    select sealed(row(s.account_id, s.id, s.uuid, s.kind, s.issuer_id, s.series, s.year, s.number, s.name,
        extract(epoch from s.period_from), extract(epoch from s.period_to), extract(epoch from s.issued_at),
        s.currency, s.subtotal, s.tax, s.total, s.due, s.refers_to, s.document, s.sha256,
        (select string_agg(sealed(row(l.line_no, extract(epoch from l.for_period), l.document)::text), ''
            order by l.line_no)
         from statement_line l where l.account_id = s.account_id and l.statement_id = s.id),
        (select string_agg(row(n.issuer_id, n.series, n.year, n.number)::text, ''
            order by n.issuer_id, n.series, n.year, n.number)
         from statement_number n where n.account_id = s.account_id and n.statement_id = s.id))::text)
$$;
create view chain_source with (security_invoker = true) as
select 'tariff' as kind, t.uuid || '/' || v.version as key, tariff_digest(t, v) as content
from tariff t join tariff_version v on v.tariff_id = t.id
union all
select 'period', p.account_id || '/' || extract(epoch from p.starts)::bigint, period_digest(p)
from billing_period p where p.closed_at is not null
union all
select 'statement', s.uuid::text, statement_digest(s) from statement s
union all
select 'entry', e.account_id || '/' || e.posting_key, entry_digest(e) from ledger_entry e
union all
select 'credit', c.uuid::text, credit_digest(c) from credit_grant c;

-- Appends a link; the row of chain_head lets one in at a time.  Already there: nothing.
create function chain_append(link_kind text, link_key text, link_content text, link_at timestamptz) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    head chain_head;
    new_hash text;
begin
    select * into head from chain_head for update;
    if exists (select from chain where kind = link_kind and key = link_key) then
        return;
    end if;
    new_hash := chain_hash(head.hash, head.seq + 1, link_kind, link_key, link_at, link_content);
    insert into chain (seq, kind, key, at, content, hash)
    values (head.seq + 1, link_kind, link_key, link_at, link_content, new_hash);
    update chain_head set seq = head.seq + 1, hash = new_hash;
end $$;
revoke all on function chain_append(text, text, text, timestamptz) from public;

-- Price lists that came in since the last time: sealed before they rate anything.
create function chain_tariffs(link_at timestamptz) returns bigint
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    fresh record;
    sealed_now bigint := 0;
begin
    for fresh in
        select t.uuid || '/' || v.version as key, tariff_digest(t, v) as content
        from tariff t join tariff_version v on v.tariff_id = t.id
        where not exists (select from chain c where c.kind = 'tariff' and c.key = t.uuid || '/' || v.version)
        order by v.recorded_at, t.id, v.version
    loop
        perform chain_append('tariff', fresh.key, fresh.content, link_at);
        sealed_now := sealed_now + 1;
    end loop;
    return sealed_now;
end $$;
revoke all on function chain_tariffs(timestamptz) from public;

-- A closed period, and its statement if it has one.
create function chain_period(account bigint, period timestamptz, link_at timestamptz) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    p billing_period;
    s statement;
begin
    select * into strict p from billing_period x where x.account_id = account and x.starts = period and x.closed_at is not null;
    select * into s from statement x where x.account_id = account and x.id = p.statement_id;
    if found then
        perform chain_append('statement', s.uuid::text, statement_digest(s), link_at);
    end if;
    perform chain_append('period', account || '/' || extract(epoch from period)::bigint, period_digest(p), link_at);
    perform chain_usage(account, period, p.settled, link_at);
end $$;
revoke all on function chain_period(bigint, timestamptz, timestamptz) from public;

-- The print of a closed period's usage; a further link only where it is another one.
create function chain_usage(account bigint, period timestamptz, print text, link_at timestamptz) returns boolean
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    base text := account || '/' || extract(epoch from period)::bigint || '/';
    last record;
begin
    select count(*) as links, (array_agg(content order by seq desc))[1] as content into last
    from chain where kind = 'usage' and key collate "C" >= base and key collate "C" < rtrim(base, '/') || '0';
    if last.content is not distinct from print then
        return false;
    end if;
    perform chain_append('usage', base || last.links, print, link_at);
    return true;
end $$;
revoke all on function chain_usage(bigint, timestamptz, text, timestamptz) from public;
create index chain_usage_key on chain (key collate "C") where kind = 'usage';

---------------------------------------------------------------- posting

create function ledger_post(entry ledger_entry) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    there ledger_entry;
begin
    select * into there from ledger_entry l where l.account_id = entry.account_id and l.posting_key = entry.posting_key;
    if found then
        if (there.debit, there.credit, there.currency, there.amount) is distinct from
                (entry.debit, entry.credit, entry.currency, entry.amount) then
            raise exception 'posting % exists with another content', entry.posting_key using errcode = 'JECON';
        end if;
        return;
    end if;
    insert into ledger_entry select entry.*;
    perform chain_append('entry', entry.account_id || '/' || entry.posting_key, entry_digest(entry), entry.at);
end $$;
revoke all on function ledger_post(ledger_entry) from public;

-- Posts an amount of either sign: below zero the two ledgers change places.
create function ledger_transfer(account bigint, posting text, debit text, credit text, currency text, amount numeric,
    reason text, statement uuid, at timestamptz) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
begin
    if amount = 0 then
        return;
    end if;
    perform ledger_post(row(account, posting, at, case when amount > 0 then debit else credit end,
        case when amount > 0 then credit else debit end, currency, abs(amount), reason, statement, null, null)::ledger_entry);
end $$;
revoke all on function ledger_transfer(bigint, text, text, text, text, numeric, text, uuid, timestamptz) from public;

-- What an issued statement means for the ledgers: revenue by class, tax by class.  Where prices
-- hold their tax, the tax is taken out of revenue through tax-included.
create function statement_post(account bigint, statement_number text, issued uuid) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    s statement;
    part record;
    base text;
begin
    select * into strict s from statement x where x.account_id = account and x.uuid = issued;
    base := 'statement/' || s.series || '/' || s.year || '/' || s.number || '/';
    for part in
        select sku_class(l.document::jsonb->>'sku') as class, sum((l.document::jsonb->>'amount')::numeric) as amount
        from statement_line l where l.account_id = account and l.statement_id = s.id group by 1 order by 1
    loop
        perform ledger_transfer(account, base || 'revenue/' || part.class, 'receivable', 'revenue/' || part.class,
            s.currency, part.amount, 'statement ' || statement_number, s.uuid, s.issued_at);
    end loop;
    for part in
        select place, t->>'class' as class, t->>'mode' as mode, (t->>'tax')::numeric as amount
        from jsonb_array_elements(s.document::jsonb->'body'->'taxes') with ordinality taxes (t, place) order by place
    loop
        perform ledger_transfer(account, base || 'tax/' || part.place,
            case part.mode when 'inclusive' then 'tax-included' else 'receivable' end, 'tax/' || part.class,
            s.currency, part.amount, 'statement ' || statement_number, s.uuid, s.issued_at);
    end loop;
    for part in select c->>'id' as id, (c->>'used')::numeric as amount
        from jsonb_array_elements(coalesce(s.document::jsonb->'credits', '[]')) c order by 1
    loop
        perform ledger_transfer(account, base || 'credit/' || part.id, 'credit/' || part.id, 'receivable',
            s.currency, part.amount, 'statement ' || statement_number, s.uuid, s.issued_at);
    end loop;
    perform ledger_transfer(account, base || 'prepaid', 'prepaid', 'receivable', s.currency,
        coalesce((s.document::jsonb->'prepaid'->>'used')::numeric, 0), 'statement ' || statement_number, s.uuid, s.issued_at);
end $$;
revoke all on function statement_post(bigint, text, uuid) from public;

-- Money that came in: what is paid in advance, or for what is owed.  The reference is the
-- payer's or the bank's: given twice it counts once.
create function payment_take(account bigint, reference text, currency text, amount numeric, prepaid boolean,
    payer bigint, at timestamptz) returns text
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    posting text := 'payment/' || reference;
begin
    if amount is null or amount <= 0 then
        raise exception 'a payment is more than 0, not %', amount using errcode = 'JEINP';
    end if;
    perform ledger_post(row(account, posting, at, 'cash', case when prepaid then 'prepaid' else 'receivable' end,
        currency, amount, 'payment ' || reference, null, null, payer)::ledger_entry);
    return posting;
end $$;
revoke all on function payment_take(bigint, text, text, numeric, boolean, bigint, timestamptz) from public;

create function credit_give(account bigint, id uuid, title text, currency text, amount numeric, expires timestamptz,
    giver bigint, at timestamptz) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    given credit_grant := row(account, id, title, currency, amount, expires, at, giver);
begin
    insert into credit_grant select given.*;
    perform chain_append('credit', id::text, credit_digest(given), at);
    perform ledger_post(row(account, 'credit/' || id, at, 'promotion', 'credit/' || id, currency, amount,
        'credit ' || title, null, null, giver)::ledger_entry);
end $$;
revoke all on function credit_give(bigint, uuid, text, text, numeric, timestamptz, bigint, timestamptz) from public;

-- Takes an entry back by one in the other direction that names it.
create function ledger_reverse(account bigint, posting text, why text, by_user bigint, when_at timestamptz) returns text
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    there ledger_entry;
begin
    select * into there from ledger_entry l where l.account_id = account and l.posting_key = posting;
    if not found then
        raise exception 'there is no posting %', posting using errcode = 'JENOT';
    end if;
    perform ledger_post(row(account, 'reverse/' || posting, when_at, there.credit, there.debit, there.currency,
        there.amount, why, there.statement, posting, by_user)::ledger_entry);
    return 'reverse/' || posting;
end $$;
revoke all on function ledger_reverse(bigint, text, text, bigint, timestamptz) from public;

---------------------------------------------------------------- is all as it was?

-- What was changed, taken away or slipped in, the earliest link first; no row: nothing.
-- with_usage also compares the usage of closed periods with the print that was charged or
-- looked at last (docs/billing.md): late usage shows here until the next look.
create function audit_verify(with_usage boolean default true)
returns table (seq bigint, kind text, key text, problem text)
language sql stable security definer set search_path = jeoul, pg_temp as $$
    with link as (
        select c.*, lag(c.hash, 1, 'jeoul') over (order by c.seq) as before,
            lag(c.seq, 1, 0::bigint) over (order by c.seq) as before_seq
        from chain c
    ), print as (
        select distinct on (p.account_id, p.starts) p.account_id, p.starts, p.ends, p.settled, l.seq, l.key, l.content
        from billing_period p left join chain l on l.kind = 'usage'
            and l.key like p.account_id || '/' || extract(epoch from p.starts)::bigint || '/%'
        where p.closed_at is not null
        order by p.account_id, p.starts, l.seq desc
    ), found as (
        select l.seq, l.kind, l.key, 'the chain is broken here: this link or the one before it was changed' as problem
        from link l where l.hash <> chain_hash(l.before, l.seq, l.kind, l.key, l.at, l.content) or l.seq <> l.before_seq + 1
        union all
        select h.seq, 'chain', 'end', 'the last links are missing, or the end is not where it was'
        from chain_head h left join chain c on c.seq = (select max(x.seq) from chain x)
        where (h.seq, h.hash) is distinct from (coalesce(c.seq, 0), coalesce(c.hash, 'jeoul'))
        union all
        select 0, 'chain', 'end', 'chain_head is gone' where not exists (select from chain_head)
        union all
        select c.seq, c.kind, c.key, case when s.key is null then 'it is gone' else 'it was changed' end
        from chain c left join chain_source s on s.kind = c.kind and s.key = c.key
        where c.kind <> 'usage' and c.content is distinct from s.content
        union all
        select null, s.kind, s.key, 'it was slipped in: the chain does not know it'
        from chain_source s where s.kind <> 'tariff'
            and not exists (select from chain c where c.kind = s.kind and c.key = s.key)
        union all
        select null, 'statement_line', l.account_id || '/' || l.statement_id || '/' || l.line_no,
            'a line without its statement'
        from statement_line l
        where not exists (select from statement s where s.account_id = l.account_id and s.id = l.statement_id)
            and not exists (select from billing_period p where p.account_id = l.account_id
                and p.statement_id = l.statement_id and p.closed_at is null)
        union all
        select null, 'statement_number', n.series || ' ' || n.year || '/' || n.number, 'a number without its statement'
        from statement_number n
        where not exists (select from statement s where s.account_id = n.account_id and s.id = n.statement_id)
        union all
        select null, 'statement_number', n.series || ' ' || n.year || '/' || n.number, 'a number is missing before it'
        from (select x.*, lag(x.number, 1, 0::bigint) over (partition by x.issuer_id, x.series, x.year order by x.number) as prior
              from statement_number x) n
        where n.number <> n.prior + 1
        union all
        select p.seq, 'usage', p.account_id || '/' || p.starts, case when p.key is null then 'its print is missing'
            else 'usage of a closed period was changed after it was charged' end
        from print p
        where p.key is null or (with_usage and p.content <> usage_print(p.account_id, p.starts, p.ends))
        union all
        select null, 'usage', p.account_id || '/' || p.starts, 'the print that was charged is not in the chain'
        from print p
        where not exists (select from chain c where c.kind = 'usage' and c.content = p.settled
            and c.key like p.account_id || '/' || extract(epoch from p.starts)::bigint || '/%')
    )
    select f.seq, f.kind, f.key, f.problem from found f order by f.seq nulls last, f.kind, f.key
$$;
revoke all on function audit_verify(boolean) from public;

---------------------------------------------------------------- rights

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['ledger_entry', 'credit_grant'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
end $$;
grant select on ledger_entry, ledger_balance, credit_grant, chain, chain_head to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant execute on function chain_tariffs(timestamptz), chain_period(bigint, timestamptz, timestamptz),
    chain_usage(bigint, timestamptz, text, timestamptz), statement_post(bigint, text, uuid),
    ledger_transfer(bigint, text, text, text, text, numeric, text, uuid, timestamptz), audit_verify(boolean)
    to jeoul_billing;
grant execute on function payment_take(bigint, text, text, numeric, boolean, bigint, timestamptz),
    credit_give(bigint, uuid, text, text, numeric, timestamptz, bigint, timestamptz),
    ledger_reverse(bigint, text, text, bigint, timestamptz), audit_verify(boolean) to jeoul_web;
