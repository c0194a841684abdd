# SPDX-License-Identifier: Apache-2.0
"""Accounts, VMs and usage as the collector and the core would have written them."""
import house

ACCOUNTS = """
insert into account (domain_id, name) select min(d.id), 'bench' || i
from domain d, generate_series(1, %(accounts)s) i group by i;
insert into account_tariff (account_id, valid_from, tariff_id)
select a.id, '2000-01-01', t.id from account a, tariff t where a.name like 'bench%%' and t.name = %(tariff)s"""

# One VM in ten is resized in the middle of the month, one in ten stops for a day of it.
VMS_AND_LIFETIMES = """
with a as (select id, row_number() over (order by id) - 1 as n from account where name like 'bench%%')
insert into vm (account_id, uuid, name, instance_name, vcpus, memory_bytes, desired, state)
select a.id, gen_random_uuid(), 'vm' || a.n * %(each)s + i, 'vm' || a.n * %(each)s + i,
    1 + i %% 4, (1 + i %% 8) * 1073741824::bigint, 'AsIs', 'Running' from a, generate_series(0, %(each)s - 1) i;
insert into volume (account_id, vm_id, name, target, size_bytes)
select account_id, id, 'root', 'vda', 21474836480 from vm;
insert into nic (account_id, vm_id, mac) select account_id, id, '52:54:00:00:00:01' from vm;
insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name,
    vcpus, memory_bytes, open_reason, close_reason)
select account_id, id, kind, %(from)s, case id %% 10 when 0 then %(middle)s when 1 then %(middle)s end,
    uuid, name, vcpus, memory_bytes, 'created', case id %% 10 when 0 then 'resized' when 1 then 'stopped' end
from vm, unnest(array['allocated', 'running']) kind;
insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name,
    vcpus, memory_bytes, open_reason)
select account_id, id, kind, case id %% 10 when 0 then %(middle)s else %(middle)s + interval '1 day' end,
    uuid, name, vcpus + 1, memory_bytes, case id %% 10 when 0 then 'resized' else 'started' end
from vm, unnest(array['allocated', 'running']) kind where id %% 10 in (0, 1);
insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, vm_id,
    size_bytes, open_reason)
select account_id, id, 'volume', %(from)s, uuid, name, vm_id, size_bytes, 'created' from volume"""

WINDOWS = """
insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
    cpu_ns, vcpu_ns, net_rx_bytes, net_tx_bytes, disk_read_bytes, disk_write_bytes, disk_read_requests,
    disk_write_requests, raw_cpu_ns, raw_vcpu_ns, raw_net_rx, raw_net_tx, raw_disk_read, raw_disk_write,
    raw_disk_read_req, raw_disk_write_req, samples)
select r.account_id, r.id, w, w + interval '1 hour', r.kind, r.vm_id, w + interval '1 hour', 'h/1',
    vm * 360000000001, vm * 360000000000, nic * 123456789::bigint, nic * 234567891::bigint, volume * 12345678,
    volume * 23456789, volume * 12345, volume * 23456,
    nullif(vm, 0), case when kind = 'vm' then array[1::bigint] end, nullif(nic, 0), nullif(nic, 0), nullif(volume, 0), nullif(volume, 0),
    nullif(volume, 0), nullif(volume, 0), 360
from (select account_id, id, 'vm' as kind, id as vm_id, 1 as vm, 0 as nic, 0 as volume from vm
    union all select account_id, id, 'nic', vm_id, 0, 1, 0 from nic
    union all select account_id, id, 'volume', vm_id, 0, 0, 1 from volume) r,
    generate_series(%(from)s, %(to)s - interval '1 hour', interval '1 hour') w"""


def tariff(stack, name, path):
    house.run(house.BIN / "jeoul", "tariff", "import", path, "--name", name, env=stack.env)


def servers(stack, role):
    return [r[0] for r in stack.sql("select pid from pg_stat_activity where usename = %s"
                                  " and pid <> pg_backend_pid()", role)]


def fill(stack, vms, an_account, start, to, tariff_name):
    """So many VMs from start to `to`, so many to an account; answers their VM-hours."""
    values = {"accounts": vms // an_account, "each": an_account, "from": start, "middle": start + (to - start) / 2,
              "to": to, "tariff": tariff_name}
    stack.sql("select usage_window_partition(%s)", start)
    for text in (ACCOUNTS, VMS_AND_LIFETIMES, WINDOWS):
        house.script(stack, text, values)
    return int((to - start).total_seconds() // 3600) * vms
