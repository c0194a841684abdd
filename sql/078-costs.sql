-- Costs by project; budgets with thresholds of their own, a currency, and a forecast.

-- The name of the project that an account is the purse of, for who may see that account.
create function project_of(account bigint) returns text
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select coalesce(nullif(p.display_text, ''), a.name) from project p join account a on a.id = p.account_id
    where p.account_id = account and account between account_low() and account_high()
$$;
revoke all on function project_of(bigint) from public;
-- Purses of the projects in which an account works.
create function projects_of(caller bigint) returns setof bigint
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select p.account_id from project p join project_member m on m.project_id = p.id
    where m.account_id = caller and p.removed is null and p.state = 'Active'
$$;
revoke all on function projects_of(bigint) from public;
grant execute on function project_of(bigint), projects_of(bigint) to jeoul_billing, jeoul_web;

---------------------------------------------------------------- budgets

-- What the bill of an account is in: as its present price list says, else as the account does.
create function account_currency(account bigint) returns text
language sql stable set search_path = jeoul, pg_temp as $$
    select coalesce((
        select coalesce(v.document::jsonb->'fx'->>'to', v.document::jsonb->>'currency')
        from account_tariff x join tariff_version v on v.tariff_id = x.tariff_id
        where x.account_id = a.id and x.valid_from <= now() order by x.valid_from desc, v.version desc limit 1), a.currency)
    from account a where a.id = account
$$;

alter table budget
    add column currency   text,
    -- percents that are told when they are reached, the lowest first
    add column thresholds integer[] not null default '{80,100}',
    -- that it is going to be exceeded is told as soon as it shows
    add column forecast   boolean not null default true;
update budget set currency = account_currency(account_id),
    thresholds = case when warn_percent < 100 then array[warn_percent, 100] else array[100] end;
alter table budget
    alter column currency set not null,
    add check (currency ~ '^[A-Z]{3}$'),
    add check (array_length(thresholds, 1) between 1 and 8 and array_position(thresholds, null) is null
        and 1 <= all (thresholds) and 1000 >= all (thresholds)),
    drop column warn_percent;

alter table budget_state add column reached integer not null default 0;
comment on column budget_state.reached is 'the highest threshold in percent that is reached; 0: none';

create function budget_reached(b budget, spent numeric) returns integer
language sql immutable as $$
    select coalesce(max(t), 0) from unnest(b.thresholds) t where spent * 100 >= b.amount * t
$$;
create function budget_level(b budget, spent numeric) returns text
language sql immutable as $$
    select case when spent >= b.amount then 'over' when budget_reached(b, spent) > 0 then 'near' else 'ok' end
$$;
-- An amount with the places of its currency.
create function budget_amount(amount numeric, currency text) returns text
language sql immutable parallel safe as $$
    select round(amount, case when currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI',
            'VND', 'VUV', 'XAF', 'XOF', 'XPF') then 0
        when currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 3
        when currency in ('CLF', 'UYW') then 4 else 2 end)::text
$$;

---------------------------------------------------------------- what is wrong, for alarms

create or replace view billing_alarm with (security_invoker = true) as
select 'account.funds' as rule, a.uuid, a.name, case s.level when 'over' then 'major' else 'warning' end as severity,
    format('account %s has used %s %% of its %s: %s %s of %s%s', a.name, round(s.used_percent),
        case when s.prepaid then 'funds' else 'credit limit' end, s.charged - least(s.balance, 0), s.currency,
        greatest(s.balance, 0) + s.credit_limit,
        coalesce(', all of it ' || case when s.lock_at <= s.through then 'since ' else 'by ' end
            || to_char(s.lock_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"'), '')) as text
from account_standing s join account a on a.id = s.account_id
where s.level <> 'ok' and a.removed is null
union all
-- One alarm a budget, whose severity rises: its first threshold, a further one below 100 %, all of it, a
-- threshold beyond.
select 'account.budget', b.uuid, a.name || '/' || b.name,
    case when t.reached > 100 then 'critical' when t.level = 'over' then 'major'
        when t.reached > (select min(x) from unnest(b.thresholds) x) then 'minor' else 'warning' end,
    format('budget %s of account %s: %s %% are reached; %s of %s %s are spent, at the period''s end it may be %s', b.name, a.name,
        case when t.reached > 0 then t.reached else 100 end, budget_amount(t.spent, b.currency), budget_amount(b.amount, b.currency),
        b.currency, budget_amount(t.forecast, b.currency))
from budget_state t join budget b on b.account_id = t.account_id and b.uuid = t.budget_uuid
join account a on a.id = t.account_id
join billing_period p on p.account_id = t.account_id and p.starts = t.period_from and p.closed_at is null
where (t.reached > 0 or t.level = 'over') and b.removed is null and a.removed is null
union all
select 'account.forecast', b.uuid, a.name || '/' || b.name, 'warning',
    format('budget %s of account %s will not last: if what runs now goes on, %s of %s %s are spent at the period''s end', b.name,
        a.name, budget_amount(t.forecast, b.currency), budget_amount(b.amount, b.currency), b.currency)
from budget_state t join budget b on b.account_id = t.account_id and b.uuid = t.budget_uuid
join account a on a.id = t.account_id
join billing_period p on p.account_id = t.account_id and p.starts = t.period_from and p.closed_at is null
where b.forecast and t.forecast > b.amount and t.spent < b.amount and b.removed is null and a.removed is null
union all
select 'account.unbilled', a.uuid, a.name, 'major', format('account %s can''t be billed: %s', a.name, x.text)
from billing_trouble x join account a on a.id = x.account_id
where x.text is not null;

---------------------------------------------------------------- the API's read side

create view api_budget with (security_invoker = true) as
select b.account_id, b.uuid as id, b.name, a.name as account, a.uuid as accountid, d.name as domain, d.uuid as domainid,
    coalesce(project_of(a.id), '') as project,
    budget_amount(b.amount, b.currency) as amount, b.currency, array_to_string(b.thresholds, ',') as thresholds,
    b.forecast as forecastalarm, b.scope,
    case b.scope when 'sku' then b.value end as sku, case b.scope when 'tag' then b.value end as tag,
    case b.scope when 'resource' then b.value end as resourceid,
    case b.scope when 'resource' then coalesce((select v.name from vm v where v.account_id = b.account_id and v.uuid::text = b.value),
        (select v.name from volume v where v.account_id = b.account_id and v.uuid::text = b.value)) end as resourcename,
    budget_amount(t.spent, b.currency) as spent, budget_amount(t.forecast, b.currency) as forecast,
    round(t.spent * 100 / b.amount, 2)::text as usedpercent, round(t.forecast * 100 / b.amount, 2)::text as forecastpercent,
    case when t.level is not null then budget_level(b, t.spent) end as level,
    case when t.level is not null then budget_reached(b, t.spent) end as reached,
    p.starts as startdate, p.ends as enddate, t.through as asof, b.created
from budget b join account a on a.id = b.account_id join domain d on d.id = a.domain_id
-- What was found for a period that is over is about nothing.
left join (budget_state t join billing_period p on p.account_id = t.account_id and p.starts = t.period_from and p.closed_at is null)
    on t.account_id = b.account_id and t.budget_uuid = b.uuid
where b.removed is null and a.removed is null;

grant execute on function account_currency(bigint), budget_reached(budget, numeric), budget_level(budget, numeric),
    budget_amount(numeric, text) to jeoul_billing, jeoul_snmp, jeoul_web, jeoul_provision, jeoul_meter;
grant update (reached) on budget_state to jeoul_billing;
grant select on api_budget to jeoul_web;
