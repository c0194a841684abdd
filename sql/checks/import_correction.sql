-- A correction has a higher seq than what it corrects, so that no two records correct each other.
-- A row means: records may replace one another in a circle, and none of them is charged.
-- To do: no program stores such a record; see who wrote to the database by hand and report this with the row.
select c.account_id, c.source, c.record, c.seq, o.record as corrects, o.seq as seq_of_that
from usage_import c
join usage_import o on o.account_id = c.account_id and o.source = c.source and o.record = c.corrects
where c.seq <= o.seq
