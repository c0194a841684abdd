-- An imported record counts as its meter does.
-- A row means: a quantity is charged as what it is not: in another unit, or an amount as if it lasted.
-- To do: meters are never changed; see who wrote to the database by hand and report this with the row.
select i.account_id, i.source, i.record, i.sku, i.kind, i.unit, m.kind as meter_kind, m.unit as meter_unit
from usage_import i join usage_meter m on m.sku = i.sku
where i.kind <> m.kind or i.unit <> m.unit
