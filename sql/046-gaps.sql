-- Gaps in metering, seen by those whom they concern and settled by an act that has a name: somebody
-- says what was used in a gap, or that nothing of it is billed.  What was measured stays as it is.

-- Its name in the API.
alter table meter_gap add column uuid uuid not null default gen_random_uuid();
create index meter_gap_uuid on meter_gap (uuid);
create index meter_gap_time on meter_gap (account_id, gap_from);

-- Numbered from 1 in each gap: of two that are written at once the second finds its number taken and
-- is decided again.  What was used is a record of usage_import under the source jeoul.gap, written in
-- the same transaction, so that it is rated, explained and corrected as every record is.
create table meter_gap_act (
    account_id  bigint not null,
    resource_id bigint not null,
    gap_from    timestamptz not null,
    number      integer not null check (number >= 1),
    verdict     text not null check (verdict in ('used', 'nothing')), -- nothing: seen, and not billed
    sku         text,
    record      text,                          -- of usage_import
    reason      text not null check (reason ~ '^[^[:cntrl:]]{1,255}$'),
    user_id     bigint references app_user,
    user_name   text not null,                 -- as it was then
    made_at     timestamptz not null default now(),
    primary key (account_id, resource_id, gap_from, number),
    unique (account_id, resource_id, gap_from, sku),
    foreign key (account_id, resource_id, gap_from) references meter_gap,
    check (case verdict when 'used' then sku is not null and record is not null else sku is null and record is null end)
);
create unique index meter_gap_act_record on meter_gap_act (account_id, record) where record is not null;
comment on table meter_gap_act is 'account_keyed: what was said of gaps in metering, by whom and why; append-only';
alter table meter_gap_act enable row level security;
create policy roles on meter_gap_act to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on meter_gap_act to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
grant select on meter_gap_act to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert on meter_gap_act to jeoul_web;

-- A gap with the thing that was not measured and the VM on whose lines its usage stands.
create view meter_gap_thing with (security_invoker = true) as
select g.account_id, g.resource_id, g.gap_from, g.gap_to, g.reason, g.uuid, l.kind = 'volume' as volume,
    l.resource_uuid, l.resource_name, coalesce(l.vm_id, g.resource_id) as vm_id, v.resource_uuid as vm_uuid,
    v.resource_name as vm_name
from meter_gap g
left join lateral (
    select * from lifetime l where l.account_id = g.account_id and l.resource_id = g.resource_id and l.valid_from <= g.gap_to
    order by l.valid_from desc limit 1
) l on true
left join lateral (
    select * from lifetime v where v.account_id = g.account_id and v.resource_id = coalesce(l.vm_id, g.resource_id)
        and v.kind in ('running', 'allocated') and v.valid_from <= g.gap_to
    order by v.valid_from desc limit 1
) v on true;

create view api_gap with (security_invoker = true) as
select g.account_id, g.gap_from, g.uuid as id, a.uuid as accountid, a.name as account, d.uuid as domainid,
    case when g.volume then 'Volume' else 'VirtualMachine' end as resourcetype, g.resource_uuid as resourceid,
    g.resource_name as resourcename, g.vm_uuid as virtualmachineid, g.vm_name as virtualmachinename,
    g.gap_from as startdate, g.gap_to as enddate, trim_scale(extract(epoch from g.gap_to - g.gap_from))::text as seconds,
    g.reason as description, case when s.acts is null then 'open' when s.nothing then 'nothing' else 'corrected' end as state,
    coalesce(s.acts, '[]') as corrections
from meter_gap_thing g
join account a on a.id = g.account_id
join domain d on d.id = a.domain_id
cross join lateral (
    select bool_or(c.verdict = 'nothing') as nothing, jsonb_agg(jsonb_strip_nulls(jsonb_build_object('verdict', c.verdict,
        'sku', c.sku, 'quantity', i.quantity::text, 'unit', i.unit,
        'at', to_char(i.used_from at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'record', i.source || '/' || c.record,
        'correctedby', i.corrected_by, 'reason', c.reason, 'by', case when by_provider() then c.user_name end,
        'made', to_char(c.made_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))) order by c.number) as acts
    from meter_gap_act c
    left join usage_import_state i on i.account_id = c.account_id and i.source = 'jeoul.gap' and i.record = c.record
    where c.account_id = g.account_id and c.resource_id = g.resource_id and c.gap_from = g.gap_from
) s;
grant select on meter_gap_thing, api_gap to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
