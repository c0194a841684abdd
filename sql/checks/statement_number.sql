-- Numbers of statements have no gap: each issuer, series and year counts 1, 2, 3, one statement each.
-- A row means: a statement has no number, a number no statement, or a number is missing: auditors ask.
-- To do: jeoul-audit says what was taken away; put it back from your backup, never give a number out again.
select s.account_id, s.name, s.series, s.year, s.number, n.number as given, null::bigint as place
from statement s left join statement_number n on n.account_id = s.account_id and n.statement_id = s.id
where (n.issuer_id, n.series, n.year, n.number) is distinct from (s.issuer_id, s.series, s.year, s.number)
union all
select n.account_id, null, n.series, n.year, n.number, n.number, n.place
from (select n.*, row_number() over (partition by issuer_id, series, year order by number) as place from statement_number n) n
where n.number <> n.place or not exists (select from statement s
    where s.account_id = n.account_id and s.id = n.statement_id)
