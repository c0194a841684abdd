-- Every account can be billed.
-- A row means: the charges of this account stand still, mostly for its price list.
-- To do: mend what the text says (jeoul tariff import a further version), the next round goes on.
select t.account_id, a.name, t.text, t.since
from billing_trouble t join account a on a.id = t.account_id
where t.text is not null and t.since < now() - interval '10 minutes'
