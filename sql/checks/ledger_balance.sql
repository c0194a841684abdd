-- Nothing is used up twice: no credit and no payment in advance is overdrawn, and an entry that takes
-- another back is that entry turned round.
-- A row means: an account paid with money or credit that it did not have.
-- To do: look at the account's entries (table ledger_entry) for what was used twice, and post a correction.
select b.account_id, b.ledger, b.currency, b.balance, null as posting_key, null as corrects
from ledger_balance b
where (b.ledger = 'prepaid' or b.ledger like 'credit/%') and b.balance > 0
union all
select e.account_id, e.debit, e.currency, e.amount, e.posting_key, e.corrects
from ledger_entry e left join ledger_entry o on o.account_id = e.account_id and o.posting_key = e.corrects
where e.corrects is not null
    and (o.debit, o.credit, o.currency, o.amount) is distinct from (e.credit, e.debit, e.currency, e.amount)
