-- A running charge reaches no further than its period and the present, and only the last round counts.
-- A row means: time that has not passed is charged, or a line is newer than its totals.
-- To do: set the clock right (chronyc tracking); else report this as a defect with the row.
select 'totals' as what, account_id, period_from, period_to, through, generation from accrual_run
where through > period_to or through < period_from or through > now() + interval '1 minute' or period_to <= period_from
union all
select 'line ' || a.line_key, a.account_id, a.period_from, a.period_to, a.through, a.generation
from accrual a left join accrual_run r on r.account_id = a.account_id and r.period_from = a.period_from
where r.generation is null or a.generation > r.generation
