-- What the agents in guests tell of them: the latest word, no history, nothing that is billed.
create table vm_guest (
    account_id bigint not null,
    vm_id      bigint not null,
    seen       timestamptz,                     -- when it told; null: never
    facts      jsonb not null default '{}' check (jsonb_typeof(facts) = 'object'),
    tried      timestamptz not null,
    failures   integer not null default 0,      -- in a row: then it is asked less often
    error      text,                            -- why it was silent the last time
    primary key (account_id, vm_id)
);
comment on table vm_guest is 'account_keyed: what the agent in a guest told last';
alter table vm_guest enable row level security;
create policy roles on vm_guest to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on vm_guest for select to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
grant select on vm_guest to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert, update on vm_guest to jeoul_provision;
