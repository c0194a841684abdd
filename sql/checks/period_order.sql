-- The periods of an account follow each other without gap or overlap, are closed in order, and a closed
-- one that has a statement is the period of that statement.
-- A row means: time of an account is on two statements, or on none.
-- To do: jeoul-audit says what was changed; report this as a defect with the row.
select p.account_id, p.starts, p.ends, p.next_starts, p.drawn_at, p.closed_at, p.statement_id, s.name
from (
    select p.*, lead(starts) over later as next_starts, lead(closed_at) over later as next_closed
    from billing_period p window later as (partition by account_id order by starts)
) p left join statement s on s.account_id = p.account_id and s.id = p.statement_id
where p.next_starts <> p.ends or (p.closed_at is null and p.next_closed is not null)
    or p.closed_at < p.ends or p.drawn_at > p.closed_at + interval '1 second'
    or (p.closed_at is not null and p.statement_id is not null
        and (s.period_from, s.period_to) is distinct from (p.starts, p.ends))
