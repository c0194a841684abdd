# SPDX-License-Identifier: Apache-2.0
"""bench-snmp: alarms delivered as informs to a real snmptrapd, beside net-snmp sending bare traps."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import house
import usage
from measure import Rival, cpu_ns, figure, installed, median, skipped

ALARMS = int(os.environ.get("BENCH_ALARMS", "1000"))
DEADLINE_S = 60

# So many accounts with a gap in their metering, all in one second: an alarm each, found by its rule.
STORM = """
with a as (insert into account (domain_id, name, removed) select (select min(id) from domain), 'bench' || i, now()
    from generate_series(1, %(alarms)s) i returning id)
insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason)
    select id, 1, now() - interval '1 minute', now(), 'bench' from a"""


def receiver(folder, port):
    (folder / "snmptrapd.conf").write_text("disableAuthorization yes\n")
    return subprocess.Popen(["snmptrapd", "-f", "-C", "-c", folder / "snmptrapd.conf", "-On", "-Lf", folder / "traps",
                             "-p", folder / "pid", f"udp:127.0.0.1:{port}"], stderr=subprocess.DEVNULL,
                            env=os.environ | {"MIBS": "", "SNMP_PERSISTENT_DIR": str(folder)})


def arrived(folder):
    return (folder / "traps").read_text(errors="replace").count("resources were not measured")


def delivered(stack, folder):
    pid = house.children(stack)["snmp"]
    servers = house.wait_for("its connection", lambda: usage.servers(stack, "jeoul_snmp"), 10)
    own, rows, began = cpu_ns(pid), house.cpu_sum(servers), time.monotonic()
    house.script(stack, STORM, {"alarms": ALARMS})
    try:
        house.wait_for("the last delivery", lambda: stack.sql(
            "select count(*) from delivery where state = 'confirmed'")[0][0] >= ALARMS, DEADLINE_S)
    except AssertionError:
        pass  # what was sent until then tells the rate
    seconds = time.monotonic() - began
    own, rows = cpu_ns(pid) - own, house.cpu_sum(servers) - rows
    sent = stack.sql("select count(*) from delivery where state = 'confirmed'")[0][0]
    if sent == 0:
        skipped("snmp.delivery", f"nothing was sent within {DEADLINE_S} s")
        return None
    time.sleep(1)  # the receiver writes what is in its socket
    figure("snmp.delivery.alarms", ALARMS, "alarms")
    figure("snmp.delivery.confirmed", sent, "informs")
    figure("snmp.delivery.arrived", arrived(folder), "informs")
    figure("snmp.delivery.rate", sent / seconds, "informs/s")
    figure("snmp.delivery.cpu", own / sent / 1000, "us/inform")
    figure("snmp.delivery.postgres_cpu", rows / sent / 1000, "us/inform")
    return own / sent


def main():
    if not installed("snmptrapd"):
        skipped("snmp", "snmptrapd is not installed")
        return
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-bench-", dir="/tmp"))
    port = house.free_port()
    trapd = receiver(folder, port)
    stack = house.Stack("none", **{"snmp.trap": f"127.0.0.1:{port}"})
    try:
        stack.start()
        house.wait_for("snmptrapd", lambda: (folder / "traps").exists(), 10)
        with house.quiet(stack, "provision", "meter", "billing"):
            ours = delivered(stack, folder)
            bare = Rival("floor_snmp", house.free_port(), env=os.environ | {"MIBS": ""})
            for _ in range(7):
                bare.turns.append(bare.run(1000))
            bare.close()
            figure("snmp.bare.cpu", median(bare.turns, "own") / 1000, "us/trap")
            figure("snmp.bare.rate", 1e9 / median(bare.turns, "wall"), "traps/s")
            if ours:
                figure("snmp.delivery.vs_bare_trap", ours / median(bare.turns, "own"), "ratio")
    finally:
        stack.remove()
        trapd.kill()
        trapd.wait()
        shutil.rmtree(folder)
