-- A VM is one: its uuid lives once, and its disks and cards live where it lives.
-- A row means: a VM is charged to two accounts, or a disk or card is left over from one that is gone.
-- To do: see on which host it is (virsh domstate UUID there); give it to one account with
--   jeoul vm assign, or report this as a defect with the rows.
select 'vm' as what, min(account_id) as account_id, uuid::text, string_agg(name || ' of account ' || account_id, ', ') as told
from vm where removed is null group by uuid having count(*) > 1
union all
select 'volume', d.account_id, d.uuid::text, d.name from volume d
where d.removed is null and d.vm_id is not null and not exists (select from vm v
    where v.account_id = d.account_id and v.id = d.vm_id and v.removed is null)
union all
select 'nic', n.account_id, n.uuid::text, n.mac from nic n
where n.removed is null and not exists (select from vm v
    where v.account_id = n.account_id and v.id = n.vm_id and v.removed is null)
