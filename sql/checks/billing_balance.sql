-- What was received is rated, unrated, rejected or pending: nothing is lost on the way to the bill.
-- A row means: records of usage came in and billing took no notice of them, or took some twice.
-- To do: report this as a defect with the row; the period is not closed before it is mended.
select account_id, period_from, sku, received, rated, unrated, rejected, pending, generation
from usage_balance
where received <> rated + unrated + rejected + pending
