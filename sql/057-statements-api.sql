-- Statements and what became of usage, as the API and the pages show them.

-- Amounts as the document has them: closed bytes, with all their places.
create view api_statement with (security_invoker = true) as
select s.account_id, s.id as row_id, s.uuid as id, s.name as number, s.kind, a.uuid as accountid, a.name as account,
    d.uuid as domainid, s.currency, s.period_from as startdate, s.period_to as enddate, s.issued_at as issued, p.zone as timezone,
    coalesce(x.body->>'subtotal', s.subtotal::text) as subtotal, coalesce(x.body->>'tax', s.tax::text) as tax,
    coalesce(x.body->>'total', s.total::text) as total, coalesce(x.head->>'due', s.due::text) as due,
    o.uuid as originalid, o.name as original, s.sha256, x.head as document
from statement s
join account a on a.id = s.account_id
join domain d on d.id = a.domain_id
cross join lateral (select s.document::jsonb as head, s.document::jsonb->'body' as body) x
left join billing_period p on p.account_id = s.account_id and p.starts = s.period_from
left join statement o on o.account_id = s.account_id and o.id = s.refers_to;

-- received = rated + unrated + rejected + pending, with the price list of that time.
create view api_usage_balance with (security_invoker = true) as
select b.account_id, b.period_from as row_id, a.uuid as accountid, a.name as account, d.uuid as domainid,
    b.period_from as startdate, b.sku, coalesce(p.zone, a.timezone) as timezone, b.received, b.rated, b.unrated, b.rejected, b.pending, b.through as asof,
    t.uuid as tariffid, t.name as tariffname, p.closed_at is not null as closed
from usage_balance b
join account a on a.id = b.account_id
join domain d on d.id = a.domain_id
left join billing_period p on p.account_id = b.account_id and p.starts = b.period_from
left join lateral (
    select tariff_id from account_tariff x where x.account_id = b.account_id and x.valid_from < b.through
    order by valid_from desc limit 1
) x on true
left join tariff t on t.id = x.tariff_id;

grant select on api_statement, api_usage_balance to jeoul_provision, jeoul_meter, jeoul_billing, jeoul_snmp, jeoul_web;
