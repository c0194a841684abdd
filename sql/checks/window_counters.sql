-- What a window says was consumed is the difference of the raw counters that it and the
-- window before it hold, as long as the guest was not started anew.
-- A row means: a quantity was changed after it was measured, or a sample was lost or counted twice.
-- To do: mended is what the difference of the counters says; if nobody wrote to the database by
--   hand, report this as a defect with both rows.
select account_id, resource_id, resource_kind, window_from, epoch, field, counted, counter - counter_before as moved
from (
    select w.account_id, w.resource_id, w.resource_kind, w.window_from, w.epoch, w.resets,
        lag(w.epoch) over before as epoch_before, f.field, f.counted, f.counter,
        lag(f.counter) over before as counter_before, f.parts, lag(f.parts) over before as parts_before
    from usage_window w cross join lateral (values
        ('cpu_ns', cpu_ns, raw_cpu_ns, 1), ('net_rx_bytes', net_rx_bytes, raw_net_rx, 1),
        ('vcpu_ns', vcpu_ns, (select sum(x) from unnest(raw_vcpu_ns) x), cardinality(raw_vcpu_ns)),
        ('net_tx_bytes', net_tx_bytes, raw_net_tx, 1), ('disk_read_bytes', disk_read_bytes, raw_disk_read, 1),
        ('disk_write_bytes', disk_write_bytes, raw_disk_write, 1),
        ('disk_read_requests', disk_read_requests, raw_disk_read_req, 1),
        ('disk_write_requests', disk_write_requests, raw_disk_write_req, 1)) f(field, counted, counter, parts)
    window before as (partition by w.resource_id, f.field order by w.through)
) w
where epoch = epoch_before and resets = 0 and parts >= parts_before and counted <> counter - counter_before
