-- A period that is over is closed within a day after its grace.
-- A row means: an account gets no statement.
-- To do: see what keeps it (text); if nothing does, see that jeoul-billing runs (jeoul status) and its log.
select p.account_id, a.name, p.starts, p.ends, p.due, t.text
from api_billing_period p join account a on a.id = p.account_id left join billing_trouble t on t.account_id = p.account_id
where p.closed_at is null and p.due < now() - interval '1 day'
