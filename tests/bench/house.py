# SPDX-License-Identifier: Apache-2.0
"""The complete Jeoul that is measured: the same that the system tests use."""
import contextlib
import os
import signal
import sys

import psycopg2

import measure

sys.path.insert(0, str(measure.TOP / "tests/system"))
import conftest  # noqa: E402  pylint: disable=C0413
from conftest import BIN, free_port, run, wait_for  # noqa: E402,F401


class Stack(conftest.Stack):
    """As the tests have it; its rows may be planted ones, so they are not questioned at the end."""

    def __init__(self, hypervisor="private", **settings):
        super().__init__(hypervisor, checked=False, **settings)


ROLES = ("provision", "meter", "billing", "snmp", "web")


def children(stack):
    """Jeoul's own processes by name: jeould, its guardian and the roles."""
    status = stack.status()
    found = {"jeould": status["pid"]}
    found |= {c["name"]: c["pid"] for c in status["children"] if c["name"] in ROLES and c["pid"]}
    for pid in measure.tree(status["pid"])[1:]:
        with contextlib.suppress(FileNotFoundError):    # it has just ended
            if open(f"/proc/{pid}/comm").read().strip() == "jeould":
                found["guardian"] = pid
    return found


def script(stack, text, values):
    """Several statements with named values, as the owner of the tables; one transaction."""
    with psycopg2.connect(stack.dsn()) as link:
        link.cursor().execute(text, values)
    link.close()


def vacuum(stack, table):
    link = psycopg2.connect(stack.dsn())
    link.autocommit = True
    link.cursor().execute(f"vacuum analyze {table}")
    link.close()


def cpu_sum(pids):
    return sum(measure.cpu_ns(p) for p in pids)


def libvirtd(stack):
    return stack.child("libvirtd")["pid"]


def uri(stack):
    return f"qemu+unix:///system?socket={stack.state}/libvirt/run/libvirt-sock-ro"


def engine(stack):
    """KVM or TCG: under which the guests really run."""
    name = stack.virsh("list", "--name").split()[0]
    return "KVM" if "domain type='kvm'" in stack.virsh("dumpxml", name) else "TCG"


class quiet:
    """with quiet(stack, "meter", "provision"): these roles hold still (SIGSTOP)."""

    def __init__(self, stack, *names):
        known = children(stack)
        self.pids = [known[n] for n in names]

    def __enter__(self):
        for p in self.pids:
            os.kill(p, signal.SIGSTOP)

    def __exit__(self, *unused):
        for p in self.pids:
            os.kill(p, signal.SIGCONT)
