-- What is told for a gap in metering lies in it, was said by somebody, and is no more than the thing could have used.
-- A row means: usage is charged that nobody said was used in a gap, or more of it than there can have been.
-- To do: look at it with jeoul gap list and jeoul usage imported --source jeoul.gap; set it right by a record that corrects it
--   (quantity 0 takes it back).
with said as (
    select a.*, g.gap_to, g.vm_id, g.vm_uuid from meter_gap_act a
    join meter_gap_thing g on g.account_id = a.account_id and g.resource_id = a.resource_id and g.gap_from = a.gap_from
), told as (
    select i.* from usage_import_state i where i.source = 'jeoul.gap' and i.state = 'current' and i.quantity > 0
), placed as (
    select distinct on (t.account_id, t.record) t.account_id, t.record, t.sku, t.quantity, t.used_from, s.resource_id, s.gap_from,
        s.gap_to, s.vm_id
    from told t left join said s on s.account_id = t.account_id and s.vm_uuid = t.resource_uuid and s.verdict = 'used'
        and s.gap_from <= t.used_from and s.gap_to > t.used_from
    order by t.account_id, t.record, s.sku = t.sku desc, s.gap_from
)
select 'said, and no record of it' as what, s.account_id, s.record, s.gap_from, s.gap_to, null::numeric as quantity
from said s
where s.verdict = 'used' and not exists (select from usage_import i
    where i.account_id = s.account_id and i.source = 'jeoul.gap' and i.record = s.record and i.sku = s.sku)
union all
select 'a record of which nobody said why', i.account_id, i.record, i.used_from, i.used_to, i.quantity
from usage_import i
where i.source = 'jeoul.gap' and i.corrects is null and not exists (select from meter_gap_act a
    where a.account_id = i.account_id and a.record = i.record)
union all
select 'used, and nothing used', a.account_id, a.record, a.gap_from, null, null
from meter_gap_act a
where a.verdict = 'nothing' and a.number > 1
union all
select 'outside of its gap', p.account_id, p.record, p.used_from, null, p.quantity from placed p where p.gap_from is null
union all
select 'more than its virtual CPUs had time', p.account_id, min(p.record), p.gap_from, p.gap_to, sum(p.quantity)
from placed p
where p.sku = 'cpu.time' and p.gap_from is not null
group by p.account_id, p.vm_id, p.gap_from, p.gap_to
having sum(p.quantity) > (
    select coalesce(sum(l.vcpus * extract(epoch from least(coalesce(l.valid_to, 'infinity'), p.gap_to)
        - greatest(l.valid_from, p.gap_from))), 0) from lifetime l
    where l.account_id = p.account_id and l.resource_id = p.vm_id and l.kind = 'running' and l.valid_from < p.gap_to
        and coalesce(l.valid_to, 'infinity') > p.gap_from)
