-- Each imported record stands under its key, and no key is without its record.
-- A row means: a record could be told, and charged, a second time, or it was taken away.
-- To do: nothing writes these tables apart from each other; see who wrote to the database by hand and report this with the row.
select 'record without key' as what, i.account_id, i.source, i.record
from usage_import i
where not exists (select from usage_import_key k where k.source = i.source and k.record = i.record and k.account_id = i.account_id)
union all
select 'key without record', k.account_id, k.source, k.record
from usage_import_key k
where not exists (select from usage_import i where i.account_id = k.account_id and i.source = k.source and i.record = k.record)
