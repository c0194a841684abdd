-- Graphs lie on the machine of the collector that asks the host: pages say so where that is another one.

-- Runs as the owner on purpose: tenants may know that a graph of theirs is elsewhere, the provider also where.
create function graph_place(p_vm boolean, p_id uuid) returns table (collector text, machine text)
language sql stable security definer set search_path = jeoul, public, pg_temp as $$
    select c.name, case when by_provider() then c.machine end
    from host_lease l join collector c on c.turn = l.turn
    where l.host_id = case when p_vm then (select v.host_id from vm v where v.uuid = p_id and v.removed is null)
        else (select h.id from host h where h.uuid = p_id) end
$$;
revoke all on function graph_place(boolean, uuid) from public;
grant execute on function graph_place(boolean, uuid) to jeoul_web;
