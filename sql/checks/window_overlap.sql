-- The windows of a resource follow each other, whoever has it: by start and by last sample.  Only while it migrates
-- two hosts show it, each to its collector: those are counters of two runs.
-- A row means: consumption of the same time stands in two windows and is charged twice.
-- To do: compare their raw counters; the sum of both must be the difference of the counters.
--   Report this as a defect with both rows.
select account_id, resource_id, window_from, window_to, through, next_from, next_through
from (
    select w.*, lead(window_from) over later as next_from, lead(through) over later as next_through,
        lead(turn) over later as next_turn, lead(epoch) over later as next_epoch
    from usage_window w window later as (partition by resource_id order by window_from)
) w
where (next_from < window_to or next_through <= through) and (next_turn = turn or next_epoch = epoch)
