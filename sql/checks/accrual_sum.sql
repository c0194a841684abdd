-- The totals of an open period are the sums of its lines, in one currency.
-- A row means: the running bill does not add up.
-- To do: wait for one round of billing (setting billing.interval); if the row stays, report this
--   as a defect with it.
select r.account_id, r.period_from, r.generation, r.currency, r.subtotal, l.sum as lines, r.tax, r.total, l.currencies
from accrual_run r
cross join lateral (
    select coalesce(sum(amount), 0) as sum, array_agg(distinct currency) as currencies,
        bool_and(through = r.through and period_to = r.period_to) as together
    from accrual a where a.account_id = r.account_id and a.period_from = r.period_from and a.generation = r.generation
) l
where r.subtotal <> l.sum or r.total not in (r.subtotal, r.subtotal + r.tax) or l.currencies <> array[r.currency]
    or not l.together
