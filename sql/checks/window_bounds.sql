-- A usage window lies within one UTC hour, and its last sample within it and not in the future.
-- A row means: consumption may be priced by the wrong hour, day or month.
-- To do: if through is in the future, set the clock of the collector's machine right (chronyc
--   tracking); else report this as a defect with the row.
select account_id, resource_id, resource_kind, window_from, window_to, through
from usage_window
where date_trunc('hour', window_from, 'UTC') <> date_trunc('hour', window_to - interval '1 microsecond', 'UTC')
    or through <= window_from or through > window_to or through > now() + interval '1 minute'
