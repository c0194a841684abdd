-- An account's action follows from what is used of its funds, and from its policy.
-- A row means: provision is told to do too much or too little.
-- To do: wait for one round of billing (setting billing.interval); if the row stays, report this as a defect.
select s.account_id, s.used_percent, s.level, s.action, coalesce(t.policy, 'warn') as policy, s.lock_at, s.through
from account_standing s left join billing_terms t on t.account_id = s.account_id
where s.level <> case when s.used_percent >= 100 then 'over' when s.used_percent >= 80 then 'near' else 'ok' end
    or s.level <> 'over' and s.action <> case s.level when 'near' then 'warn' else 'none' end
    or s.level = 'over' and s.action <> coalesce(t.policy, 'warn') and s.through < now() - interval '5 minutes'
    or s.level = 'over' and s.lock_at > s.through
