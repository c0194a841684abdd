-- Tenancy: limits on what an account, or a domain with all below it, may have; projects.
--
-- A limit is kept by counting, not by counters: limits_keep() runs in the transaction that has
-- just written the new rows, locks the account and then every domain above it that has such a
-- limit (in one order for all), and counts again what is there now.  Whoever comes second sees
-- the first one's rows, so nothing can be counted twice or drift, and what was freed is free.

create table resource_kind (
    number integer primary key,     -- CloudStack's
    name   text not null unique,
    unit   text not null
);
comment on table resource_kind is 'reference: what can be limited';
insert into resource_kind values (0, 'user_vm', 'machines'), (1, 'public_ip', 'addresses'), (2, 'volume', 'volumes'),
    (3, 'snapshot', 'snapshots'), (4, 'template', 'templates'), (5, 'project', 'projects'), (6, 'network', 'networks'),
    (8, 'cpu', 'virtual CPUs'), (9, 'memory', 'MiB'), (10, 'primary_storage', 'GiB'), (11, 'secondary_storage', 'GiB');

create table resource_limit (
    owner_kind text not null check (owner_kind in ('account', 'domain')),
    owner_id   bigint not null,
    kind       text not null references resource_kind (name),
    most       bigint not null check (most >= -1),  -- -1: no limit
    primary key (owner_kind, owner_id, kind)
);
comment on table resource_limit is 'reference: what an account or a domain may have at most';

create table project (
    id           bigint generated always as identity primary key,
    uuid         uuid not null unique default gen_random_uuid(),
    account_id   bigint not null unique references account, -- what belongs to the project belongs to it
    owner_id     bigint not null references account,
    display_text text not null default '',
    state        text not null default 'Active' check (state in ('Active', 'Suspended', 'Removed')),
    created      timestamptz not null default now(),
    removed      timestamptz
);
comment on table project is 'reference: accounts that several accounts work in';
create table project_member (
    project_id bigint not null references project,
    account_id bigint not null references account,
    admin      boolean not null default false,
    primary key (project_id, account_id)
);
comment on table project_member is 'reference: who works in a project';

-- Sizes that were asked for and are being made true count already.
alter table volume add column wanted_bytes bigint check (wanted_bytes > 0);

---------------------------------------------------------------- counting

-- How much of a kind these accounts have.  Storage in bytes.
create function resource_used(accounts bigint[], kind text) returns numeric
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select coalesce(case kind
        when 'user_vm' then (select count(*) from vm where account_id = any (accounts) and removed is null)
        when 'cpu' then (select sum(greatest(vcpus, coalesce(next_vcpus, 0)))
            from vm where account_id = any (accounts) and removed is null)
        when 'memory' then (select ceil(sum(greatest(memory_bytes, coalesce(next_memory_bytes, 0))) / 1048576)
            from vm where account_id = any (accounts) and removed is null)
        when 'volume' then (select count(*) from volume where account_id = any (accounts) and removed is null)
        when 'primary_storage' then (select sum(greatest(size_bytes, coalesce(wanted_bytes, 0)))
            from volume where account_id = any (accounts) and removed is null)
        when 'snapshot' then (select count(*) from snapshot where account_id = any (accounts) and removed is null)
        when 'template' then (select count(*) from template where account_id = any (accounts) and removed is null)
        when 'secondary_storage' then (select sum(b) from (
            select sum(case state when 'Creating' then size_bytes else physical_bytes end) as b
            from snapshot where account_id = any (accounts) and removed is null
            union all select sum(physical_bytes) from template where account_id = any (accounts) and removed is null) x)
        when 'network' then (select count(*) from network where account_id = any (accounts) and removed is null)
        when 'project' then (select count(*) from project where owner_id = any (accounts) and removed is null)
        end, 0)
$$;
revoke all on function resource_used(bigint[], text) from public;

create function accounts_below(path text) returns bigint[]
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select coalesce(array_agg(a.id), '{}') from account a join domain d on d.id = a.domain_id
    where a.removed is null and (d.path = accounts_below.path or starts_with(d.path, accounts_below.path || '/'))
$$;
revoke all on function accounts_below(text) from public;

create function resource_most(kind text, most bigint) returns numeric
language sql immutable as $$
    select case when kind in ('primary_storage', 'secondary_storage') then most::numeric * 1073741824 else most end
$$;

-- After the rows are written: refuses them when a limit of the account, or of a domain above
-- it, is passed.  CloudStack's words.
create function limits_keep(account bigint, kinds text[]) returns void
language plpgsql security definer set search_path = jeoul, pg_temp as $$
declare
    who record;
    used numeric;
    home record;
begin
    select a.name, d.uuid, d.path into home from account a join domain d on d.id = a.domain_id
    where a.id = account for no key update of a;
    for who in select l.kind, l.most from resource_limit l
            where l.owner_kind = 'account' and l.owner_id = account and l.kind = any (kinds) and l.most >= 0 order by l.kind loop
        used := resource_used(array[account], who.kind);
        if used > resource_most(who.kind, who.most) then
            raise exception using errcode = 'JELIM', message = format(
                'Maximum number of resources of type ''%s'' for account name=%s in domain id=%s has been exceeded: %s of %s %s',
                who.kind, home.name, home.uuid, trim_scale(round(used / resource_most(who.kind, 1), 2)), who.most,
                (select unit from resource_kind where name = who.kind));
        end if;
    end loop;
    for who in select d.id, d.path, d.uuid, array_agg(l.kind order by l.kind) as kinds, array_agg(l.most order by l.kind) as mosts
            from domain d join resource_limit l on l.owner_kind = 'domain' and l.owner_id = d.id
            where l.kind = any (limits_keep.kinds) and l.most >= 0 and starts_with(home.path || '/', d.path || '/')
            group by d.id, d.path, d.uuid order by d.id loop
        perform 1 from domain where id = who.id for no key update;
        for i in 1 .. array_length(who.kinds, 1) loop
            used := resource_used(accounts_below(who.path), who.kinds[i]);
            if used > resource_most(who.kinds[i], who.mosts[i]) then
                raise exception using errcode = 'JELIM', message = format(
                    'Maximum number of resources of type ''%s'' for domain id=%s has been exceeded: %s of %s %s',
                    who.kinds[i], who.uuid, trim_scale(round(used / resource_most(who.kinds[i], 1), 2)), who.mosts[i],
                    (select unit from resource_kind where name = who.kinds[i]));
            end if;
        end loop;
    end loop;
end $$;
revoke all on function limits_keep(bigint, text[]) from public;

---------------------------------------------------------------- projects: who may work in which

-- The account of a project, if that caller is a member of it.
create function project_account(project uuid, caller bigint) returns bigint
language sql stable security definer set search_path = jeoul, pg_temp as $$
    select p.account_id from project p
    where p.uuid = project and p.removed is null and p.state = 'Active'
        and exists (select from project_member m where m.project_id = p.id and m.account_id = caller)
$$;
revoke all on function project_account(uuid, bigint) from public;

---------------------------------------------------------------- views

-- What a domain has and may have is the provider's to know: others are of the domain too.
create view api_domain with (security_invoker = true) as
select d.id as row_id, d.uuid as id, d.name, d.path, p.uuid as parentdomainid, p.name as parentdomainname,
    array_length(string_to_array(d.path, '/'), 1) - 1 as level,
    exists (select from domain c where c.parent_id = d.id) as haschild, 'Active' as state,
    t.vmlimit, t.vmtotal, t.cputotal, t.memorytotal, t.volumetotal, t.primarystoragetotal, d.created
from domain d left join domain p on p.id = d.parent_id
left join lateral (select
    coalesce((select most::text from resource_limit where owner_kind = 'domain' and owner_id = d.id and kind = 'user_vm' and most >= 0),
        'Unlimited') as vmlimit,
    resource_used(accounts_below(d.path), 'user_vm')::bigint as vmtotal,
    resource_used(accounts_below(d.path), 'cpu')::bigint as cputotal,
    resource_used(accounts_below(d.path), 'memory')::bigint as memorytotal,
    resource_used(accounts_below(d.path), 'volume')::bigint as volumetotal,
    (resource_used(accounts_below(d.path), 'primary_storage') / 1073741824)::bigint as primarystoragetotal) t on by_provider();

create view api_resource_limit with (security_invoker = true) as
select a.id as account_id, d.id as domain_row, k.number as row_id, k.number::text as resourcetype, k.name as resourcetypename,
    coalesce(l.most, -1) as max, trim_scale(round(resource_used(array[a.id], k.name) / resource_most(k.name, 1), 2))::text as used,
    a.name as account, d.name as domain, d.uuid as domainid, d.path as domainpath, false as of_domain
from account a join domain d on d.id = a.domain_id cross join resource_kind k
left join resource_limit l on l.owner_kind = 'account' and l.owner_id = a.id and l.kind = k.name
where a.removed is null
union all
select null, d.id, k.number, k.number::text, k.name, coalesce(l.most, -1),
    trim_scale(round(resource_used(accounts_below(d.path), k.name) / resource_most(k.name, 1), 2))::text,
    null, d.name, d.uuid, d.path, true
from domain d cross join resource_kind k
left join resource_limit l on l.owner_kind = 'domain' and l.owner_id = d.id and l.kind = k.name;

-- Its people are of several accounts, so that no row-level security of one of them shows all.
create view api_project as
select p.id as row_id, p.uuid as id, a.name, coalesce(nullif(p.display_text, ''), a.name) as displaytext, p.state,
    d.name as domain, d.uuid as domainid, o.name as account, a.name as projectaccountname,
    coalesce((select jsonb_agg(jsonb_build_object('account', x.name, 'role', case when m.admin then 'Admin' else 'Regular' end)
            order by m.account_id) from project_member m join account x on x.id = m.account_id where m.project_id = p.id), '[]') as members,
    resource_used(array[a.id], 'user_vm')::bigint as vmtotal, resource_used(array[a.id], 'cpu')::bigint as cputotal,
    resource_used(array[a.id], 'memory')::bigint as memorytotal, p.created, p.removed
from project p join account a on a.id = p.account_id join account o on o.id = p.owner_id join domain d on d.id = a.domain_id
where by_provider() or exists (select from project_member m where m.project_id = p.id
    and m.account_id between (select account_low()) and (select account_high()));
comment on view api_project is 'runs as the owner on purpose: projects that the caller works in, with the names of the others there';

create or replace view api_account with (security_invoker = true) as
select a.id as account_id, a.id as row_id, a.uuid as id, a.name,
    case a.kind when 'provider' then 1 else 0 end as accounttype,
    case a.kind when 'provider' then 'Admin' else 'User' end as roletype,
    case a.kind when 'provider' then 'Root Admin' else 'User' end as rolename,
    d.name as domain, d.uuid as domainid, d.path as domainpath, a.state, a.created,
    a.kind = 'provider' as isdefault, a.currency, a.timezone, a.locale,
    t.uuid as tariffid, t.name as tariffname,
    coalesce(c.total, 0) as vmtotal, coalesce(c.running, 0) as vmrunning,
    coalesce(c.total - c.running, 0) as vmstopped,
    coalesce(l.vm::text, 'Unlimited') as vmlimit, coalesce(greatest(0, l.vm - coalesce(c.total, 0))::text, 'Unlimited') as vmavailable,
    coalesce((select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', u.id, 'username', u.username, 'firstname', u.firstname,
            'lastname', u.lastname, 'email', u.email, 'state', u.state, 'account', u.account,
            'accountid', u.accountid, 'accounttype', u.accounttype, 'domain', u.domain, 'domainid', u.domainid,
            'apikey', u.apikey)) order by u.row_id)
        from api_user u where u.account_id = a.id), '[]') as "user",
    resource_used(array[a.id], 'cpu')::bigint as cputotal, coalesce(l.cpu::text, 'Unlimited') as cpulimit,
    coalesce(greatest(0, l.cpu - resource_used(array[a.id], 'cpu'))::text, 'Unlimited') as cpuavailable,
    resource_used(array[a.id], 'memory')::bigint as memorytotal, coalesce(l.memory::text, 'Unlimited') as memorylimit,
    coalesce(greatest(0, l.memory - resource_used(array[a.id], 'memory'))::text, 'Unlimited') as memoryavailable,
    resource_used(array[a.id], 'volume')::bigint as volumetotal, coalesce(l.volume::text, 'Unlimited') as volumelimit,
    coalesce(greatest(0, l.volume - resource_used(array[a.id], 'volume'))::text, 'Unlimited') as volumeavailable,
    resource_used(array[a.id], 'snapshot')::bigint as snapshottotal, coalesce(l.snapshot::text, 'Unlimited') as snapshotlimit,
    coalesce(greatest(0, l.snapshot - resource_used(array[a.id], 'snapshot'))::text, 'Unlimited') as snapshotavailable,
    resource_used(array[a.id], 'template')::bigint as templatetotal, coalesce(l.template::text, 'Unlimited') as templatelimit,
    coalesce(greatest(0, l.template - resource_used(array[a.id], 'template'))::text, 'Unlimited') as templateavailable,
    resource_used(array[a.id], 'network')::bigint as networktotal, coalesce(l.network::text, 'Unlimited') as networklimit,
    coalesce(greatest(0, l.network - resource_used(array[a.id], 'network'))::text, 'Unlimited') as networkavailable,
    ceil(resource_used(array[a.id], 'primary_storage') / 1073741824)::bigint as primarystoragetotal,
    coalesce(l.primary_storage::text, 'Unlimited') as primarystoragelimit,
    coalesce(greatest(0, l.primary_storage - ceil(resource_used(array[a.id], 'primary_storage') / 1073741824))::text, 'Unlimited')
        as primarystorageavailable
from account a
join domain d on d.id = a.domain_id
left join lateral (
    select count(*) as total, count(*) filter (where v.state in ('Running', 'Paused')) as running
    from vm v where v.account_id = a.id and v.removed is null
) c on true
left join lateral (
    select max(most) filter (where kind = 'user_vm') as vm, max(most) filter (where kind = 'cpu') as cpu,
        max(most) filter (where kind = 'memory') as memory, max(most) filter (where kind = 'volume') as volume,
        max(most) filter (where kind = 'snapshot') as snapshot, max(most) filter (where kind = 'template') as template,
        max(most) filter (where kind = 'network') as network, max(most) filter (where kind = 'primary_storage') as primary_storage
    from resource_limit where owner_kind = 'account' and owner_id = a.id and most >= 0
) l on true
left join lateral (
    select tariff_id from account_tariff x where x.account_id = a.id and x.valid_from <= now()
    order by valid_from desc limit 1
) x on true
left join tariff t on t.id = x.tariff_id
where a.removed is null;

---------------------------------------------------------------- rights

do $$
declare
    name text;
begin
    foreach name in array array['project', 'project_member', 'resource_limit'] loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy roles on %I to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp '
            'using (true) with check (true)', name);
        execute format('create policy provider on %I to jeoul_web using ((select by_provider()))', name);
    end loop;
end $$;
create policy web on project to jeoul_web
    using (owner_id between (select account_low()) and (select account_high()));
create policy web on project_member to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
-- What a tenant may have itself; what the domain may have is not a tenant's to know.
create policy web on resource_limit for select to jeoul_web
    using (owner_kind = 'account' and owner_id between (select account_low()) and (select account_high()));
grant select on resource_kind, resource_limit, project, project_member
    to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant usage on all sequences in schema jeoul to jeoul_web;
grant insert, update on resource_limit, project, domain to jeoul_web;
grant delete on resource_limit, project_member, domain to jeoul_web;
grant insert, update on project_member to jeoul_web;
grant execute on function resource_used(bigint[], text), accounts_below(text), limits_keep(bigint, text[]),
    project_account(uuid, bigint) to jeoul_web;
grant execute on function limits_keep(bigint, text[]) to jeoul_provision;
grant update (wanted_bytes) on volume to jeoul_web;
grant update (next_vcpus, next_memory_bytes) on vm to jeoul_web;
grant select on api_domain, api_resource_limit, api_project to jeoul_web;
