-- A price list is what was entered: its checksum fits, its versions are numbered from 1 on and in order of entry.
-- A row means: the text of a price list was changed, or a version taken away, after it was entered.
-- To do: import the price list again from your own file (jeoul tariff import), and find out who may
--   write to the database past Jeoul.
select t.name, v.version, v.recorded_at, v.sha256, v.place
from tariff t join (
    select v.*, row_number() over versions as place, lag(recorded_at) over versions as recorded_before
    from tariff_version v window versions as (partition by tariff_id order by version)
) v on v.tariff_id = t.id
where v.sha256 <> encode(sha256(convert_to(v.document, 'UTF8')), 'hex') or v.version <> v.place
    or v.recorded_at < v.recorded_before
