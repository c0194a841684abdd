-- One rounding a line: the amount is the exact one, moved by at most the step of its price list.
-- A row means: an amount of a statement was rounded twice or changed.
-- To do: jeoul-audit verify names what was changed; if it is content, report this as a defect with the row.
select l.account_id, s.name, l.line_no, l.document::jsonb->>'exact' as exact, l.document::jsonb->>'amount' as amount, t.tariff->>'step' as step
from statement_line l
join statement s on s.account_id = l.account_id and s.id = l.statement_id
cross join lateral (select s.document::jsonb->'body'->'tariffs'->((l.document::jsonb->>'tariff')::integer) as tariff) t
cross join lateral (select split_part(l.document::jsonb->>'exact', '/', 1)::numeric as n,
    coalesce(nullif(split_part(l.document::jsonb->>'exact', '/', 2), ''), '1')::numeric as d,
    (l.document::jsonb->>'amount')::numeric as amount,
    (t.tariff->>'step')::numeric * case when t.tariff->>'rounding' like 'half%' then 0.5 else 1 end as most) e
where l.document::jsonb->>'kind' = 'charge' and abs(e.amount * e.d - e.n) > e.most * e.d
