-- Statements: the periods of each account, and closed ones as documents whose bytes stay.

---------------------------------------------------------------- who invoices, on what terms

create table issuer (
    id          bigint generated always as identity primary key,
    uuid        uuid not null unique default gen_random_uuid(),
    name        text not null unique check (name ~ '^[^[:cntrl:]]{1,120}$'),
    legal_name  text not null default '' check (length(legal_name) <= 300),
    address     text not null default '' check (length(address) <= 1000),
    tax_number  text not null default '' check (length(tax_number) <= 100),
    note        text not null default '' check (length(note) <= 2000), -- how to pay
    timezone    text not null default 'UTC',
    number_form text not null default '{year}-{number}' check (length(number_form) <= 60
                    and number_form like '%{number}%' and number_form like '%{year}%'),
    created     timestamptz not null default now()
);
comment on table issuer is 'reference: who stands on statements; each one keeps what was true when it was issued';
insert into issuer (name) values ('provider');

create table billing_terms (
    account_id  bigint primary key references account,
    issuer_id   bigint not null references issuer,
    -- null: an invoice as soon as the issuer has a legal name, before that a showback
    kind        text check (kind in ('invoice', 'showback')),
    anchor      date,               -- null: periods are calendar months
    months      integer not null default 1 check (months between 1 and 12),
    grace_hours integer not null default 24 check (grace_hours between 0 and 744),
    customer    text not null default '' check (length(customer) <= 1000), -- name and address
    changed     timestamptz not null default now()
);
comment on table billing_terms is 'account_keyed: how an account is billed; without a row by the defaults';

---------------------------------------------------------------- periods

-- open until it ends, in grace until late usage is in, then closed for good.  The bounds are
-- kept as they were computed when it was opened: later zone rules don't move them.
create table billing_period (
    account_id   bigint not null references account,
    starts       timestamptz not null,
    ends         timestamptz not null check (ends > starts),
    zone         text not null,
    tzdata       text not null,       -- version of the zone rules that made the bounds
    drawn_at     timestamptz,         -- its lines are written, its number comes next
    statement_id bigint,
    draft        text,                -- all of the statement that does not hang on its number
    settled      text,                -- print of the usage that has been charged (usage_print)
    closed_at    timestamptz,
    primary key (account_id, starts)
);
create unique index billing_period_end on billing_period (account_id, ends);
create index billing_period_unclosed on billing_period (ends, account_id) where closed_at is null;
comment on table billing_period is 'account_keyed: from when to when each statement goes';

-- Why an account can't be billed at the moment; text null: it can.
create table billing_trouble (
    account_id bigint primary key references account,
    text       text,
    since      timestamptz not null
);
comment on table billing_trouble is 'account_keyed: what keeps an account from its bill, as the last round saw it';

create view api_billing_period with (security_invoker = true) as
select p.account_id, p.starts, p.ends, p.zone, p.drawn_at, p.closed_at, p.statement_id,
    p.ends + coalesce(t.grace_hours, 24) * interval '1 hour' as due,
    case when p.closed_at is not null then 'closed' when p.ends <= now() then 'grace' else 'open' end as state
from billing_period p left join billing_terms t on t.account_id = p.account_id;

---------------------------------------------------------------- statements

create sequence statement_id_seq as bigint;

-- document: canonical JSON without the lines, which it holds by count and digest.
create table statement (
    account_id  bigint not null references account,
    id          bigint not null default nextval('statement_id_seq'),
    uuid        uuid not null,
    kind        text not null check (kind in ('invoice', 'showback', 'credit_note')),
    issuer_id   bigint not null references issuer,
    series      text not null check (series in ('invoice', 'showback')),
    year        integer not null,
    number      bigint not null,
    name        text not null,        -- the number as it is printed: 2026-000017
    period_from timestamptz not null,
    period_to   timestamptz not null,
    issued_at   timestamptz not null,
    currency    text not null,
    subtotal    numeric not null,
    tax         numeric not null,
    total       numeric not null,
    due         numeric not null,
    refers_to   bigint,               -- of a credit note: the statement that it is about
    document    text not null,
    sha256      text not null,
    primary key (account_id, id),
    unique (account_id, uuid)
);
create index statement_by_time on statement (account_id, period_from);
comment on table statement is 'account_keyed: closed periods as documents; append-only';

create table statement_line (
    account_id   bigint not null references account,
    statement_id bigint not null,
    line_no      bigint not null,
    for_period   timestamptz,         -- start of the period whose usage it charges
    document     text not null,       -- canonical JSON
    primary key (account_id, statement_id, line_no)
);
create index statement_line_period on statement_line (account_id, for_period);
comment on table statement_line is 'account_keyed: lines of statements as documents; append-only';

-- Gap-free: one row a number; the next is the highest plus one, taken under one lease.
create table statement_number (
    issuer_id    bigint not null references issuer,
    series       text not null,
    year         integer not null,
    number       bigint not null check (number > 0),
    account_id   bigint not null,
    statement_id bigint not null,
    primary key (issuer_id, series, year, number)
);
comment on table statement_number is 'local: which number went to which statement; append-only';

---------------------------------------------------------------- what was used, as one print

-- A digest of all usage in [since, until) that bills are made of: another print means that
-- something came late, or was changed.  What lies beyond the end is cut off, so that a life
-- that ends later changes nothing.  Resource by resource, so that no text grows with time.
create function usage_print(account bigint, since timestamptz, until timestamptz) returns text
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
                simulated)::text, E'\n' order by window_from), 'UTF8')), 'hex')
        from usage_window
        where account_id = account and window_from >= since and window_from < until
        group by resource_id
    ) prints
$$;

---------------------------------------------------------------- rights

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['billing_terms', 'billing_period', 'billing_trouble', 'statement',
            'statement_line', 'statement_number'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
end $$;

grant select on issuer, billing_terms, billing_period, billing_trouble, statement, statement_line, statement_number,
    api_billing_period to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant usage on statement_id_seq to jeoul_billing;
grant insert on billing_period, statement, statement_line, statement_number to jeoul_billing;
grant update (drawn_at, statement_id, draft, settled, closed_at) on billing_period to jeoul_billing;
grant insert, update on billing_trouble to jeoul_billing;
grant insert, update on issuer, billing_terms to jeoul_web;
