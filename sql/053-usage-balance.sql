-- received = rated + unrated + rejected + pending, for every account, period and sku.

-- Counted from the tables, not by who rates: records of usage that reach into [since, until), and
-- those of them that begin after through.  What another record took the place of counts no more.
create function usage_received(account bigint, since timestamptz, through timestamptz, until timestamptz)
returns table (sku text, received bigint, pending bigint)
language sql stable set search_path = jeoul, pg_temp as $$
    with record as (
        select k.sku, l.valid_from as starts
        from lifetime l
        join (values ('running', 'vm.running', 0), ('running', 'vcpu', 1), ('running', 'memory.gib', 2),
                ('allocated', 'vm.allocated', 0), ('volume', 'volume.gib', 3), ('snapshot', 'snapshot.gib', 3),
                ('vm_snapshot', 'vm.snapshot.gib', 3), ('template', 'template.gib', 3), ('iso', 'iso.gib', 3),
                ('network', 'network', 0), ('address', 'address', 0), ('port_forward', 'port.forward', 0),
                ('security_group', 'security.group', 0), ('host', 'host.socket', 4), ('host', 'host.core', 5),
                ('host', 'host.core16', 5)) k (kind, sku, size) on k.kind = l.kind
        where l.account_id = account and l.valid_from < until and (l.valid_to is null or l.valid_to > since)
            and case k.size when 1 then l.vcpus is not null when 2 then l.memory_bytes is not null
                when 3 then l.size_bytes is not null when 4 then l.sockets is not null
                when 5 then l.cores is not null else true end
        union all
        select k.sku, w.window_from
        from usage_window w
        join (values ('vm', 'cpu.time'), ('volume', 'disk.read.bytes'), ('volume', 'disk.write.bytes'),
                ('volume', 'disk.read.requests'), ('volume', 'disk.write.requests'), ('nic', 'net.rx.bytes'),
                ('nic', 'net.tx.bytes')) k (kind, sku) on k.kind = w.resource_kind
        where w.account_id = account and w.window_from >= since and w.window_from < until
        union all
        select i.sku, i.used_from
        from usage_import_state i
        where i.account_id = account and i.state <> 'corrected' and i.used_from < until
            and case i.kind when 'amount' then i.used_from >= since else i.used_to is null or i.used_to > since end
    )
    select r.sku, count(*), count(*) filter (where r.starts >= through) from record r group by r.sku
$$;

-- As the rater last counted: received by the function above, rated and unrated by itself.
create table usage_balance (
    account_id  bigint not null references account,
    period_from timestamptz not null,
    sku         text not null,
    received    bigint not null,
    rated       bigint not null,
    unrated     bigint not null,      -- no price for it in all or a part of its time
    rejected    bigint not null,      -- its key came before with another content
    pending     bigint not null,      -- begins after what is charged so far, or corrects what has not come
    through     timestamptz not null,
    generation  bigint not null,
    primary key (account_id, period_from, sku)
);
comment on table usage_balance is 'account_keyed: what became of every record of usage, by period and sku';

alter table usage_balance enable row level security;
create policy roles on usage_balance to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp
    using (true) with check (true);
create policy web on usage_balance to jeoul_web
    using (account_id between (select account_low()) and (select account_high()));
grant select on usage_balance to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
grant insert on usage_balance to jeoul_billing;
grant update (received, rated, unrated, rejected, pending, through, generation) on usage_balance to jeoul_billing;
