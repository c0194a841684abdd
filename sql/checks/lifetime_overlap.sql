-- A resource lives once at a time, whoever owns it.
-- A row means: two intervals of one resource and kind overlap (or both are open), so that
--   this time is charged twice.
-- To do: compare both with the events of that resource (table event), then end the wrong one
--   as database owner: update lifetime set valid_to = ... where ctid = ...; the next round of
--   billing brings the open bill in order, a closed one needs a correction.
select account_id, resource_uuid, resource_name, kind, valid_from, valid_to, next_from, next_account
from (
    select l.*, lead(valid_from) over later as next_from, lead(account_id) over later as next_account
    from lifetime l window later as (partition by resource_id, kind order by valid_from, valid_to)
) l
where next_from < coalesce(valid_to, 'infinity')
