-- What says money or usage goes forward only (DESIGN 7, law 3): a role may write the columns
-- that an absolute state replaces, never the key that says whose and when it was, and an
-- interval is closed once.  tests/system/test_rights.py holds the whole grid.

do $$
declare
    name text;
    who text;
    free text;
begin
    for name, who in values ('usage_window', 'jeoul_meter'), ('accrual', 'jeoul_billing'),
            ('accrual_run', 'jeoul_billing') loop
        select string_agg(quote_ident(attname), ', ') into free
        from pg_attribute a
        where attrelid = name::regclass and attnum > 0 and not attisdropped
            and attname not in ('resource_kind', 'vm_id')
            and not exists (select from pg_index i where i.indrelid = a.attrelid and i.indisprimary
                and a.attnum = any (i.indkey));
        execute format('revoke update on %I from %I', name, who);
        execute format('grant update (%s) on %I to %I', free, name, who);
    end loop;
end $$;

create policy closed_once on lifetime as restrictive for update to jeoul_provision
    using (valid_to is null) with check (valid_to is not null);

-- Whose template it is counts also past the view: all see the public ones, change only their own.
alter table template enable row level security;
create policy roles on template to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on template to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
create policy web_public on template for select to jeoul_web using (public);

-- A function that runs as the owner is for those that it is granted to, and finds its tables
-- in our schema before anybody's temporary ones.
revoke all on function usage_window_partition(timestamptz) from public;
alter function usage_window_partition(timestamptz) set search_path = jeoul, public, pg_temp;
