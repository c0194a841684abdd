-- A job ends: it is waited for, worked on under a lease that is renewed, or finished.
-- A row means: somebody waits for work that nobody does.
-- To do: jeoul status: does provision run, and does its host answer?  Its log says why; a restart
--   takes the job up again.
select id, uuid, command, state, step, attempt, holder, created, due, lease_until, finished
from job
where (state = 'pending' and due < now() - interval '10 minutes')
    or (state = 'running' and lease_until < now() - interval '5 minutes')
    or (state in ('succeeded', 'failed')) <> (finished is not null)
