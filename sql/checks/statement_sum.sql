-- A statement adds up: its lines and taxes to its totals, and its document says the same.
-- A row means: what was charged is not what the lines say; a closed document may have been changed.
-- To do: jeoul-audit says what was changed and when; the document as it was issued is with the customer
--   and in your backup.
select s.account_id, s.name, s.currency, l.lines, s.subtotal, s.tax, s.total, t.tax as taxes, l.count
from statement s
cross join lateral (
    select coalesce(sum((document::jsonb->>'amount')::numeric), 0) as lines, count(*) as count
    from statement_line where account_id = s.account_id and statement_id = s.id
) l
cross join lateral (
    select coalesce(sum((x->>'tax')::numeric), 0) as tax,
        coalesce(sum((x->>'tax')::numeric) filter (where x->>'mode' = 'inclusive'), 0) as inside
    from jsonb_array_elements(s.document::jsonb->'body'->'taxes') x
) t
where s.sha256 <> encode(sha256(convert_to(s.document, 'UTF8')), 'hex')
    or s.total <> s.subtotal + s.tax or s.tax <> t.tax or s.total <> l.lines + t.tax - t.inside
    or s.due > greatest(s.total, 0) or (s.document::jsonb->'body'->'lines'->>'count')::bigint <> l.count
    or (s.document::jsonb->'body'->>'total')::numeric <> s.total
