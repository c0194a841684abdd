-- What runs is allocated: running time lies within allocated time of the same owner.
-- A row means: a VM is charged for running at a time for which it is not said to exist, or the
--   interval that says so was closed too early.  (An interval of no length gets one microsecond.)
-- To do: look at the events of that VM and mend the allocated interval as database owner.
select r.account_id, r.resource_uuid, r.resource_name, r.valid_from, r.valid_to
from lifetime r
where r.kind = 'running' and not coalesce((
    select range_agg(tstzrange(a.valid_from, a.valid_to)) from lifetime a
    where a.account_id = r.account_id and a.resource_id = r.resource_id and a.kind = 'allocated')
    @> tstzrange(r.valid_from, r.valid_to - interval '1 microsecond', '[]'), false)
