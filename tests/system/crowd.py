# SPDX-License-Identifier: Apache-2.0
"""Many guests of libvirt's test driver on many hosts: nothing runs, but every call is answered.

They are made up and every row of theirs says so.  Their CPU time is the wall clock in nanoseconds: what each
has used between two looks is known without a look.  Cards and disks of theirs have no counters.  The inventory is written as rows; the provisioning core is not what is asked here."""
PER_HOST = 25

NODE = """<node>
<cpu><mhz>2000</mhz><model>x</model><active>32</active><nodes>1</nodes><sockets>2</sockets><cores>16</cores>
<threads>1</threads></cpu><memory>999999999</memory>
"""
GUEST = """<domain type='test'><name>sim{0}</name><uuid>{0:08x}-1111-4111-8111-000000000000</uuid>
<memory>1048576</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os></domain>
"""

# The collector counts runs that are written down: host and libvirt's id, since when.
ROWS = """
with p as (select %s::text as folder, %s::integer as first, %s::integer as last, %s::integer as per),
h as (
    insert into host (account_id, zone_id, name, uri, simulated, state, sockets, cores, threads,
        vcpus_used, memory_used)
    select a.id, (select min(id) from zone), 'made-up-' || n, 'test://' || p.folder || '/' || n || '.xml', true, 'Up',
        2, 32, 32, 2 * p.per, 1073741824 * p.per::bigint
    from account a, p, generate_series(p.first, p.last) n where a.name = 'admin'
    returning id, account_id, uuid, name, sockets, cores, threads, split_part(name, '-', 3)::integer as n),
y as (insert into host_history (host_id, valid_from, sockets, cores, threads, memory_bytes, capabilities_sha256)
    select id, now(), sockets, cores, threads, 0, '' from h),
s as (
    insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, host_id, sockets, cores,
        simulated, open_reason)
    select account_id, id, 'host', now(), uuid, name, id, sockets, cores, true, 'added' from h),
v as (
    insert into vm (account_id, uuid, name, instance_name, host_id, adopted, vcpus, memory_bytes, held_host_id,
        held_vcpus, held_memory, desired, state, epoch)
    select account_id, (lpad(to_hex(i), 8, '0') || '-1111-4111-8111-000000000000')::uuid, 'sim' || i, 'sim' || i,
        h.id, true, 2, 1073741824, h.id, 2, 1073741824, 'AsIs', 'Running', h.uuid || '/' || i - h.n * p.per + 1
    from p, h, generate_series(h.n * p.per, h.n * p.per + p.per - 1) i
    returning account_id, id, uuid, name, host_id, vcpus, memory_bytes)
insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid, resource_name, vm_id, host_id, vcpus,
    memory_bytes, simulated, open_reason)
select account_id, id, kind, now(), uuid, name, id, host_id, vcpus, memory_bytes, true, 'adopted'
from v, unnest(array['allocated', 'running']) kind"""


def plant(stack, hosts, per_host=PER_HOST, first=0):
    """So many hosts, from the first-th on; answers how many guests there are on them."""
    folder = stack.state / "crowd"
    folder.mkdir(exist_ok=True)
    for n in range(first, first + hosts):
        guests = range(n * per_host, (n + 1) * per_host)
        (folder / f"{n}.xml").write_text(NODE + "".join(GUEST.format(i) for i in guests) + "</node>\n")
    stack.sql(ROWS, str(folder), first, first + hosts - 1, per_host)
    stack.sql("analyze")    # as autovacuum would within a minute
    return hosts * per_host
