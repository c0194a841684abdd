-- Nothing that is closed was changed: price lists, periods, statements, numbers, entries, credits.
-- A row means: somebody wrote to closed data, or took some away.
-- To do: jeoul-audit verify says the same with the usage; compare with a backup from before, and find out who did it.
select seq, kind, key, problem from audit_verify(false)
