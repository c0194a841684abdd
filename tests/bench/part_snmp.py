# SPDX-License-Identifier: Apache-2.0
"""bench-snmp: alarms delivered as traps to a real snmptrapd, beside net-snmp sending bare traps."""
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

# What jeoul-snmp itself writes when alarms are raised, all in one second.
STORM = """
with a as (insert into alarm (rule, object_kind, object_uuid, object_name, severity, text, raised_at)
    select 'bench', 'vm', gen_random_uuid(), 'vm' || i, 'major', 'vm ' || i || ': no answer for 31 s', now()
    from generate_series(1, %(alarms)s) i returning id, severity, text),
n as (insert into notification (alarm_id, kind, at, severity, text)
    select id, 'raise', now(), severity, text from a returning seq)
insert into delivery (seq, receiver) select seq, 'trap:127.0.0.1:' || %(port)s from n"""


def receiver(folder, port):
    (folder / "snmptrapd.conf").write_text("disableAuthorization yes\n")
    return subprocess.Popen(["snmptrapd", "-f", "-C", "-c", folder / "snmptrapd.conf", "-On", "-Lf", folder / "traps",
                             "-p", folder / "pid", f"udp:127.0.0.1:{port}"], stderr=subprocess.DEVNULL,
                            env=os.environ | {"MIBS": "", "SNMP_PERSISTENT_DIR": str(folder)})


def arrived(folder):
    return (folder / "traps").read_text(errors="replace").count("no answer for 31 s")


def delivered(stack, folder, port):
    pid = house.children(stack)["snmp"]
    servers = house.wait_for("its connection", lambda: usage.servers(stack, "jeoul_snmp"), 10)
    own, rows, began = cpu_ns(pid), house.cpu_sum(servers), time.monotonic()
    house.script(stack, STORM, {"alarms": ALARMS, "port": port})
    try:
        house.wait_for("the last delivery", lambda: not stack.sql(
            "select 1 from delivery where sent_at is null limit 1"), DEADLINE_S)
    except AssertionError:
        pass  # what was sent until then tells the rate
    seconds = time.monotonic() - began
    own, rows = cpu_ns(pid) - own, house.cpu_sum(servers) - rows
    sent = stack.sql("select count(*) from delivery where sent_at is not null")[0][0]
    if sent == 0:
        skipped("snmp.delivery", f"nothing was sent within {DEADLINE_S} s")
        return None
    time.sleep(1)  # the receiver writes what is in its socket
    figure("snmp.delivery.alarms", ALARMS, "alarms")
    figure("snmp.delivery.sent", sent, "traps")
    figure("snmp.delivery.arrived", arrived(folder), "traps")
    figure("snmp.delivery.rate", sent / seconds, "traps/s")
    figure("snmp.delivery.cpu", own / sent / 1000, "us/trap")
    figure("snmp.delivery.postgres_cpu", rows / sent / 1000, "us/trap")
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
            ours = delivered(stack, folder, port)
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
