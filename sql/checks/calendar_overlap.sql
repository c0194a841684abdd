-- The kept units of a calendar do not overlap: an instant lies in one hour, day, month and year.
-- A row means: time at that border is charged by two units; the zone's rules changed after one was kept.
-- To do: see which of both fits the zone (select ... at time zone ...); the one that no closed bill
--   used may be deleted as database owner.
select zone, unit, starts, ends, next_starts
from (select c.*, lead(starts) over (partition by zone, unit order by starts) as next_starts from billing_calendar c) c
where next_starts < ends
