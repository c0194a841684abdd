-- One database role per program; run by jeoul-migrate at each start, as database owner.
do $$
declare
    name text;
begin
    foreach name in array array['jeoul_provision', 'jeoul_meter', 'jeoul_billing', 'jeoul_snmp', 'jeoul_web'] loop
        if not exists (select from pg_roles where rolname = name) then
            execute format('create role %I login', name);
        end if;
    end loop;
end $$;
create schema if not exists jeoul;
create table if not exists jeoul.schema_migration (
    version    integer primary key,
    name       text not null,
    sha256     text not null,
    applied_at timestamptz not null default now()
);
comment on table jeoul.schema_migration is 'local: numbered changes of this schema that are in';
grant usage on schema jeoul to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant select on jeoul.schema_migration to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
