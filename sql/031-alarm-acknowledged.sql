-- The provider's people take note of an alarm; jeoul-snmp then repeats it no more.

create or replace view api_alarm with (security_invoker = true) as
select m.id as row_id, m.uuid as id,
    case m.object_kind when 'host' then 7 when 'vm' then 8 when 'folder' then 2 when 'role' then 14
        when 'database' then 14 when 'receiver' then 14 else 13 end as type,
    case m.object_kind when 'host' then 'ALERT.COMPUTE.HOST' when 'vm' then 'ALERT.USERVM'
        when 'folder' then 'ALERT.STORAGE' when 'role' then 'ALERT.MANAGEMENT'
        when 'database' then 'ALERT.MANAGEMENT' when 'receiver' then 'ALERT.MANAGEMENT'
        else 'ALERT.USAGE' end as name,
    m.text as description, m.raised_at as sent, m.rule, m.object_kind as objectkind, m.object_uuid as objectid,
    m.object_name as objectname, m.severity, m.cleared_at as cleared, m.cleared_at is null as active, m.count,
    m.flapping, m.acknowledged_at as acknowledged, m.acknowledged_by as acknowledgedby,
    m.acknowledged_note as note
from alarm m;

grant update (acknowledged_at, acknowledged_by, acknowledged_note) on alarm to jeoul_web;
create policy web_acknowledges on alarm for update to jeoul_web
    using ((select by_provider())) with check ((select by_provider()));
