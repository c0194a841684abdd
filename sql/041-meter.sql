-- What the collector keeps beside the counters, what PostgreSQL refused, finer windows.

-- Gauges as they were last seen (bytes): of a VM the first three, of a volume the others.
alter table usage_window
    add column memory_bytes        bigint,  -- what the guest has now
    add column memory_rss_bytes    bigint,  -- what that takes of the host
    add column memory_unused_bytes bigint,  -- what the guest itself calls unused
    add column capacity_bytes      bigint,
    add column allocation_bytes    bigint,  -- highest written offset; 0 for a file
    add column physical_bytes      bigint;  -- what the container takes of its pool
grant update (memory_bytes, memory_rss_bytes, memory_unused_bytes, capacity_bytes, allocation_bytes,
    physical_bytes) on usage_window to jeoul_meter;

-- The begin of a run is looked up without knowing who owned the VM then.
create index lifetime_resource on lifetime (resource_id, kind, valid_from desc);

-- Rows that PostgreSQL would not take: put aside, so that the others go on.
create table meter_refused (
    kind     text not null,             -- window, gap, contact, ...
    key      text not null,             -- account/resource/window
    line     text not null,             -- its values as they were sent, with tabs
    error    text not null,
    first_at timestamptz not null default now(),
    last_at  timestamptz not null default now(),
    count    integer not null default 1,
    primary key (kind, key)
);
comment on table meter_refused is 'local: rows of the collector that could not be written, for a person to look at';
alter table meter_refused enable row level security;
create policy roles on meter_refused to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on meter_refused for select to jeoul_web using ((select by_provider()));
grant select on meter_refused to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert, update on meter_refused to jeoul_meter;

-- Accounts whose tariff needs windows finer than an hour (a percentile): kept by the rater.
create table meter_grain (
    account_id bigint primary key,
    seconds    integer not null check (seconds in (300, 900, 1800))
);
comment on table meter_grain is 'account_keyed: how fine the usage windows of an account are cut, where an hour is too coarse';
alter table meter_grain enable row level security;
create policy roles on meter_grain to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on meter_grain for select to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
grant select on meter_grain to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert, update, delete on meter_grain to jeoul_billing;
