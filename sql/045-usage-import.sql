-- Usage of what libvirt does not see (object storage, licences, support hours), told by others.
-- Nothing here is ever changed or taken away: a mistake is corrected by a record that names it.
-- Of our own skus the provider may tell what the meters missed or got wrong.

---------------------------------------------------------------- what may be told

create table usage_meter (
    sku         text primary key check (sku ~ '^[a-z][a-z0-9]*([._-][a-z0-9]+)*$' and length(sku) <= 64),
    unit        text not null check (unit ~ '^[^[:cntrl:]]{1,32}$'),
    -- amount: so much at an instant; level: so much from then to then
    kind        text not null check (kind in ('amount', 'level')),
    description text not null default '' check (length(description) <= 255),
    created     timestamptz not null default now(),
    created_by  bigint references app_user
);
comment on table usage_meter is 'reference: skus that are told from outside, and in what they count; append-only';

-- Users of the provider tell anything; any other user only what a row here allows.
create table usage_right (
    user_id bigint not null references app_user,
    source  text not null check (source ~ '^[^[:cntrl:]]{1,64}$'),
    primary key (user_id, source)
);
comment on table usage_right is 'reference: who else may tell usage, for which sources, of any account';

---------------------------------------------------------------- what was told

create sequence usage_import_seq as bigint;

create table usage_import (
    account_id    bigint not null,
    source        text not null check (length(source) between 1 and 64),
    record        text not null check (length(record) between 1 and 128), -- the source's own id for it
    number        bigint not null default nextval('usage_import_seq'),    -- order of arrival
    sku           text not null,             -- of usage_meter, or one of our own
    unit          text not null,
    kind          text not null check (kind in ('amount', 'level')),
    used_from     timestamptz not null,      -- of an amount its instant
    used_to       timestamptz check (used_to > used_from), -- of a level; null: it still lasts
    quantity      numeric not null check (quantity >= 0 and quantity < 1e20 and scale(quantity) <= 18),
    seq           bigint not null default 0, -- of levels that overlap the highest counts
    resource      text,                      -- the source's name for the thing, as it was given
    resource_uuid uuid not null,             -- the thing on bills; without one the account
    resource_name text not null,
    tags          jsonb not null default '{}' check (jsonb_typeof(tags) = 'object'),
    corrects      text,                      -- the record of the same source that this one replaces
    user_id       bigint,
    received_at   timestamptz not null default now(),
    primary key (account_id, source, record),
    check (kind = 'level' or used_to is null)
);
-- A record is corrected once: what corrects it may be corrected in turn.
create unique index usage_import_corrects on usage_import (account_id, source, corrects) where corrects is not null;
create index usage_import_amount on usage_import (account_id, used_from) where kind = 'amount';
create index usage_import_level on usage_import (account_id, used_from, used_to) where kind = 'level';
comment on table usage_import is 'account_keyed: usage told from outside, record by record; append-only';

-- A key is unique for ever, over all accounts: a record that comes again for another account is
-- a conflict.  Small and apart, so that the large table can be split by account.
create table usage_import_key (
    source     text not null,
    record     text not null,
    account_id bigint not null,
    primary key (source, record)
);
comment on table usage_import_key is 'local: which record went to which account; append-only';

-- What counts of it: current; corrected: another record took its place; pending: what it
-- corrects has not come yet.
create view usage_import_state with (security_invoker = true) as
select i.*, c.record as corrected_by,
    case when c.record is not null then 'corrected'
         when i.corrects is not null and not exists (select from usage_import o where o.account_id = i.account_id
             and o.source = i.source and o.record = i.corrects) then 'pending'
         else 'current' end as state
from usage_import i
left join usage_import c on c.account_id = i.account_id and c.source = i.source and c.corrects = i.record;

create view api_usage_import with (security_invoker = true) as
select i.account_id, i.number as row_id, i.source, i.record as id, a.uuid as accountid, a.name as account, d.uuid as domainid,
    i.sku, i.unit, i.quantity::text as quantity, case when i.kind = 'amount' then i.used_from end as at,
    case when i.kind = 'level' then i.used_from end as "from", i.used_to as "to", i.kind, i.used_from, i.used_to,
    i.seq, i.resource, i.resource_uuid as resourceid, i.resource_name as resourcename, i.tags, i.corrects,
    i.corrected_by as correctedby, i.state, i.received_at as received
from usage_import_state i
join account a on a.id = i.account_id
join domain d on d.id = a.domain_id;

---------------------------------------------------------------- rights

do $$
declare
    name text;
    roles constant text := 'jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp';
begin
    foreach name in array array['usage_import', 'usage_import_key'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to %s using (true) with check (true)', name, roles);
        execute format('create policy web on %I to jeoul_web using (account_id between '
            '(select account_low()) and (select account_high()))', name);
    end loop;
end $$;
grant select on usage_meter, usage_right, usage_import, usage_import_key, usage_import_state, api_usage_import
    to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant usage on usage_import_seq to jeoul_web;
grant insert on usage_meter, usage_import, usage_import_key to jeoul_web;
grant insert, delete on usage_right to jeoul_web;
