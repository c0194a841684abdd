-- Imported usage belongs to the print of a period (sql/050): what comes late shows.  By content
-- and not by key, cut at the period's end, so that a correction that only ends a level later, or
-- changes nothing in this period, leaves the print as it was; without such usage the print is
-- what it was before.
create or replace function usage_print(account bigint, since timestamptz, until timestamptz) returns text
language sql stable set timezone = 'UTC' set datestyle = 'ISO' set search_path = jeoul, public, pg_temp as $$
    select encode(sha256(convert_to(coalesce(string_agg(print, '' order by kind, resource_id), ''), 'UTF8')), 'hex')
    from (
        select 1 as kind, resource_id, encode(sha256(convert_to(string_agg(row(kind, valid_from,
                case when valid_to <= until then valid_to end, resource_uuid, resource_name, vm_id, host_id,
                offering_id, template_id, vcpus, memory_bytes, size_bytes, sockets, cores, simulated, open_reason,
                case when valid_to <= until then close_reason end, recorded_at)::text,
                E'\n' order by kind, valid_from), 'UTF8')), 'hex') as print
        from lifetime
        where account_id = account and valid_from < until and (valid_to is null or valid_to >= since - interval '1 day')
        group by resource_id
        union all
        select 2, resource_id, encode(sha256(convert_to(string_agg(row(window_from, window_to, resource_kind, vm_id,
                through, epoch, cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes,
                disk_read_requests, disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx,
                raw_disk_read, raw_disk_write, raw_disk_read_req, raw_disk_write_req, samples, resets,
                simulated)::text, E'\n' order by window_from), 'UTF8')), 'hex')
        from usage_window
        where account_id = account and window_from >= since and window_from < until
        group by resource_id
        union all
        select 3, 0, encode(sha256(convert_to(string_agg(line, E'\n' order by line collate "C"), 'UTF8')), 'hex')
        from (
            select row(sku, kind, used_from, case when used_to <= until then used_to end, trim_scale(quantity), seq,
                resource_uuid, resource_name, tags)::text as line
            from usage_import_state
            where account_id = account and state = 'current' and used_from < until
                and (kind = 'amount' and used_from >= since
                    or kind = 'level' and (used_to is null or used_to >= since - interval '1 day'))
        ) told
        having count(*) > 0
    ) prints
$$;
