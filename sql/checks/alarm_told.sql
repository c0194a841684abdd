-- Every alarm was told when it was raised (and perhaps again) and, when it is over, when it was cleared, once.
-- A row means: the NOC did not hear of it, or waits for its end for ever.
-- To do: tell them; report this as a defect with the row.
select a.id, a.rule, a.object_name, a.raised_at, a.cleared_at,
    array_agg(n.kind order by n.seq) filter (where n.seq is not null) as told
from alarm a left join notification n on n.alarm_id = a.id
group by a.id
having count(*) filter (where n.kind = 'raise') = 0
    or count(*) filter (where n.kind = 'clear') <> case when a.cleared_at is null then 0 else 1 end
