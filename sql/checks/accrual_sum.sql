-- The totals of an open period are the sums of its lines, in one currency.
-- A row means: the running bill does not add up.
-- To do: wait for one round of billing (setting billing.interval); if the row stays, report this
--   as a defect with it.
select r.account_id, r.period_from, r.generation, r.currency, l.sum as lines, r.subtotal, r.tax, r.total, l.currencies
from accrual_run r
cross join lateral (
    select coalesce(sum(amount), 0) as sum, array_agg(distinct currency) as currencies,
        bool_and(through = r.through and period_to = r.period_to) as together,
        -- Lines hold their tax where the price list says so.
        bool_or(v.document::jsonb->'tax'->>'mode' = 'inclusive') as some_inclusive,
        bool_and(coalesce(v.document::jsonb->'tax'->>'mode', '') = 'inclusive') as all_inclusive
    from accrual a left join tariff_version v on v.tariff_id = a.tariff_id and v.version = a.tariff_version
    where a.account_id = r.account_id and a.period_from = r.period_from and a.generation = r.generation
) l
where r.total <> r.subtotal + r.tax or l.currencies <> array[r.currency] or not l.together
    or case when l.all_inclusive then l.sum <> r.total
        when l.some_inclusive then l.sum not between least(r.subtotal, r.total) and greatest(r.subtotal, r.total)
        else l.sum <> r.subtotal end
