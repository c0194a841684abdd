-- What a correction corrects comes within a week.
-- A row means: a record that was told is not billed, because it corrects a record that never came.
-- To do: look at it with jeoul usage imported --state pending; send the record that it names, or, if the name was wrong,
--   correct it by a record that names it in turn.
select s.account_id, s.source, s.record, s.sku, s.corrects, s.received_at
from usage_import_state s
where s.state = 'pending' and s.received_at < now() - interval '7 days'
