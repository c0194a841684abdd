-- Imported usage belongs to the print of a period: what comes late shows.  By content and not by
-- key, cut at the period's end, so that a correction that only ends a level later, or changes
-- nothing in this period, leaves the print as it was; without such usage it is the print of what
-- was metered, as it was before.
alter function usage_print(bigint, timestamptz, timestamptz) rename to usage_print_metered;

create function usage_print_imported(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp as $$
    select encode(sha256(convert_to(string_agg(line, E'\n' order by line collate "C"), 'UTF8')), 'hex')
    from (
        select row(sku, kind, used_from, case when used_to <= until then used_to end, trim_scale(quantity), seq,
            resource_uuid, resource_name, tags)::text as line
        from usage_import_state
        where account_id = account and state = 'current' and used_from < until
            and (kind = 'amount' and used_from >= since
                or kind = 'level' and (used_to is null or used_to >= since - interval '1 day'))
    ) told
$$;

create function usage_print(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set search_path = jeoul, public, pg_temp as $$
    select case when told is null then metered
        else encode(sha256(convert_to(metered || told, 'UTF8')), 'hex') end
    from (select usage_print_metered(account, since, until) as metered, usage_print_imported(account, since, until) as told) p
$$;
