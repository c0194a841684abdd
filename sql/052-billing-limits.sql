-- Prepaid balance, credit limit, thresholds, budgets; requests that the rater carries out.

create or replace function sku_class(sku text) returns text language sql immutable parallel safe as $$
    select case when sku like 'host.%' then 'licences'
        when sku like 'net.%' or sku in ('network', 'address', 'port.forward', 'security.group') then 'network'
        when sku like 'volume.%' or sku like 'disk.%' or sku in ('snapshot.gib', 'vm.snapshot.gib', 'template.gib',
            'iso.gib') then 'storage'
        when sku like 'vm.%' or sku like 'cpu.%' or sku like 'memory.%' or sku = 'vcpu' then 'compute'
        else 'other' end
$$;

---------------------------------------------------------------- limits

alter table billing_terms
    add column prepaid      boolean not null default false,
    -- what may be owed: beyond the balance of who pays in advance, beyond nothing of who does not; null: no limit
    add column credit_limit numeric check (credit_limit >= 0),
    add column policy       text not null default 'warn' check (policy in ('warn', 'refuse', 'stop'));

-- How an account stands, as the rater last saw it: an absolute state.
create table account_standing (
    account_id   bigint primary key references account,
    currency     text not null,
    prepaid      boolean not null,
    balance      numeric not null,     -- paid in advance and not used up, or what is owed as a negative
    credit_limit numeric,              -- null: none, then there is no level and no action
    charged      numeric not null,     -- of periods that are not closed, before tax, cut to the minor unit
    used_percent numeric,              -- of balance and limit
    level        text not null check (level in ('ok', 'near', 'over')),
    action       text not null check (action in ('none', 'warn', 'refuse', 'stop')),
    lock_at      timestamptz,          -- first whole second at which all is used up; null: not in this period
    through      timestamptz not null,
    generation   bigint not null
);
comment on table account_standing is 'account_keyed: funds and what is used of them; action is what provision carries out';

---------------------------------------------------------------- budgets

create table budget (
    account_id bigint not null references account,
    uuid       uuid not null default gen_random_uuid(),
    name       text not null check (name ~ '^[^[:cntrl:]]{1,120}$'),
    amount     numeric not null check (amount > 0),
    -- account: all of it; sku: those that begin with value; resource: the uuid in value;
    -- tag: resources that have the tag key=value now
    scope      text not null default 'account' check (scope in ('account', 'sku', 'resource', 'tag')),
    value      text not null default '',
    warn_percent integer not null default 80 check (warn_percent between 1 and 100),
    created    timestamptz not null default now(),
    removed    timestamptz,
    primary key (account_id, uuid)
);
comment on table budget is 'account_keyed: how much a part of an account''s charges should come to in a period';

create table budget_state (
    account_id  bigint not null references account,
    budget_uuid uuid not null,
    period_from timestamptz not null,
    spent       numeric not null,
    forecast    numeric not null,      -- at the period's end, if it goes on like this
    level       text not null check (level in ('ok', 'near', 'over')),
    through     timestamptz not null,
    generation  bigint not null,
    primary key (account_id, budget_uuid)
);
comment on table budget_state is 'account_keyed: each budget as the rater last saw it';

---------------------------------------------------------------- requests to the rater

-- What only the rater may do and a person asks for: a credit note.
create table billing_request (
    account_id  bigint not null references account,
    uuid        uuid not null default gen_random_uuid(),
    kind        text not null check (kind in ('credit_note')),
    request     text not null,
    state       text not null default 'pending' check (state in ('pending', 'done', 'refused')),
    answer      text,                  -- number of what was made, or why not
    created     timestamptz not null default now(),
    user_id     bigint,
    finished    timestamptz,
    primary key (account_id, uuid)
);
create index billing_request_pending on billing_request (created) where state = 'pending';
comment on table billing_request is 'account_keyed: what people ask the rater to do';

create function chain_statement(account bigint, issued uuid, link_at timestamptz) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    s statement;
begin
    select * into strict s from statement x where x.account_id = account and x.uuid = issued;
    perform chain_append('statement', s.uuid::text, statement_digest(s), link_at);
end $$;
revoke all on function chain_statement(bigint, uuid, timestamptz) from public;

---------------------------------------------------------------- what is wrong, for alarms

create view billing_alarm with (security_invoker = true) as
select 'account.funds' as rule, a.uuid, a.name, case s.level when 'over' then 'major' else 'warning' end as severity,
    format('account %s has used %s %% of its %s: %s %s of %s%s', a.name, round(s.used_percent),
        case when s.prepaid then 'funds' else 'credit limit' end, s.charged - least(s.balance, 0), s.currency,
        greatest(s.balance, 0) + s.credit_limit,
        coalesce(', all of it ' || case when s.lock_at <= s.through then 'since ' else 'by ' end
            || to_char(s.lock_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '')) as text
from account_standing s join account a on a.id = s.account_id
where s.level <> 'ok' and a.removed is null
union all
select 'account.budget', b.uuid, a.name || '/' || b.name, case t.level when 'over' then 'major' else 'warning' end,
    format('budget %s of account %s: %s of %s are spent, at the period''s end it may be %s', b.name, a.name, t.spent,
        b.amount, t.forecast)
from budget_state t join budget b on b.account_id = t.account_id and b.uuid = t.budget_uuid
join account a on a.id = t.account_id
join billing_period p on p.account_id = t.account_id and p.starts = t.period_from and p.closed_at is null
where t.level <> 'ok' and b.removed is null and a.removed is null
union all
select 'account.unbilled', a.uuid, a.name, 'major', format('account %s can''t be billed: %s', a.name, x.text)
from billing_trouble x join account a on a.id = x.account_id
where x.text is not null;

---------------------------------------------------------------- rights

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['account_standing', 'budget', 'budget_state', 'billing_request'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
end $$;
grant select on account_standing, budget, budget_state, billing_request, billing_alarm
    to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert on account_standing, budget_state to jeoul_billing;
grant update (currency, prepaid, balance, credit_limit, charged, used_percent, level, action, lock_at, through,
    generation) on account_standing to jeoul_billing;
grant update (period_from, spent, forecast, level, through, generation) on budget_state to jeoul_billing;
grant update (state, answer, finished) on billing_request to jeoul_billing;
grant insert, update on budget to jeoul_web;
grant insert on billing_request to jeoul_web;
grant execute on function chain_statement(bigint, uuid, timestamptz) to jeoul_billing;
