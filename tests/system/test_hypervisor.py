"""What a machine shows that can run no guest, or none under KVM: never anything that looks real."""
import pathlib
import shutil
import tempfile
from fractions import Fraction

import pytest

from conftest import BIN, TOP, Stack, run, wait_for

DEV = """
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
{node}
exec setpriv --reuid nobody --regid nogroup --clear-groups "$@"
"""


class Bare(Stack):
    """A machine on which no hypervisor can be started: libvirtd is not found."""

    def __init__(self, hypervisor, **settings):
        super().__init__(hypervisor, **settings)
        self.env["PATH"] = "/usr/bin:/bin"

    def services(self):
        return (self.state / "log/services.log").read_text()


@pytest.fixture(scope="module")
def bare():
    s = Bare(hypervisor="auto", **{"hypervisor.patience": "2s", "meter.step": "1s", "billing.interval": "2s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        yield s
    finally:
        s.remove()


def test_the_test_driver_is_shown_and_always_says_that_it_is_simulated(bare):
    host = wait_for("the test driver", lambda: [h for h in bare.jeoul("host", "list") if h["state"] == "Up"], 40)[0]
    assert host["simulated"] is True and host["hypervisor"] == "Simulator" and host["uri"] == "test:///default"
    vm = wait_for("its VM", lambda: bare.jeoul("vm", "list"), 40)[0]
    assert vm["simulated"] is True and vm["hypervisor"] == "Simulator" and vm["state"] == "Running"
    # People read tables: a column says so, and only because there is something to say.
    for noun in ("host", "vm"):
        table = run(BIN / "jeoul", noun, "list", env=bare.env).stdout.splitlines()
        column = table[0].index("simulated")
        assert table[1][column:].split()[0] == "yes", table
    log = (bare.state / "log/jeould.log").read_text()
    assert "marked simulated" in log and "jeoul host add URI" in log
    assert "libvirtd is not installed" in bare.services() and "try:   apt-get install libvirt-daemon" in bare.services()
    doctor = run(BIN / "jeoul", "doctor", env=bare.env, check=False).stdout
    assert "WARN  host simulated" in doctor and "nothing real runs there" in doctor


def test_what_is_simulated_says_so_on_the_bill(bare):
    run(BIN / "jeoul", "tariff", "import", TOP / "billing/presets/small-hoster.json", env=bare.env)
    for account in ("unassigned", "admin"):
        bare.jeoul("tariff", "assign", "small-hoster", "--account", account)
    wait_for("usage", lambda: bare.sql("select count(*) from usage_window")[0][0])
    assert bare.sql("select bool_and(simulated) from usage_window") == [(True,)]
    assert bare.sql("select bool_and(simulated) from lifetime") == [(True,)]
    for account in ("unassigned", "admin"):
        lines = wait_for("lines", lambda a=account: [l for l in bare.jeoul("bill", "preview", "--account", a)["lines"]
                                                     if l.get("resource") and Fraction(l["quantity"]) > 0])
        assert all("(simulated)" in l["resource"]["name"] for l in lines), lines


def test_nothing_is_simulated_where_a_real_hypervisor_was_asked_for():
    """hypervisor.start = private: three tries and past its patience there is still no host."""
    s = Bare(hypervisor="private", **{"hypervisor.patience": "1s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        wait_for("its word", lambda: s.services().count("libvirtd is not installed") >= 3, 30)
        assert s.jeoul("host", "list") == [] and s.jeoul("vm", "list") == []
        doctor = run(BIN / "jeoul", "doctor", env=s.env, check=False)
        assert doctor.returncode == 7 and "FAIL  program libvirtd" in doctor.stdout
    finally:
        s.remove()


@pytest.fixture
def scripts():
    """setup/ where everybody may read it."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-", dir="/tmp"))
    folder.chmod(0o755)
    shutil.copytree(TOP / "setup", folder / "setup")
    (folder / "libvirt").mkdir()
    (folder / "libvirt").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def as_nobody(node, *argv):
    return run("unshare", "-m", "--propagation", "private", "sh", "-ec", DEV.format(node=node), "sh", *argv)


NODES = {
    "for a group": ("mknod -m 660 /dev/kvm c 10 232; chgrp video /dev/kvm", "sudo usermod -aG video nobody"),
    "for root alone": ("mknod -m 600 /dev/kvm c 10 232", "sudo chgrp kvm /dev/kvm"),
    "not there": ("", "switch virtualisation on in the firmware"),
    "kept by a container": ("mknod -m 666 /dev/kvm c 10 250", "docker run --device /dev/kvm"),
}


@pytest.mark.parametrize("case", NODES)
def test_without_rights_on_kvm_guests_run_under_tcg(scripts, case):
    node, advice = NODES[case]
    done = as_nobody(node, scripts / "setup/kvm-probe", scripts)
    assert done.stdout == "qemu\n"
    why, try_ = done.stderr.splitlines()
    assert why.startswith("why: ") and "/dev/kvm" in why and "TCG" in why
    assert try_.startswith("try: ") and advice in try_ and "run the same command again" in try_


def test_make_run_says_why_and_goes_on(scripts):
    """The step of setup/run, as a user who may not use /dev/kvm."""
    done = as_nobody(NODES["for a group"][0], "bash", "-c",
                     f'. {scripts}/setup/lib.sh; domain_type {scripts} {scripts}/libvirt; echo went on')
    assert done.stdout == "went on\n"
    assert "no: TCG" in done.stderr and done.stderr.count("usermod -aG video nobody") == 1
    assert (scripts / "libvirt/domain-type").read_text() == "qemu\n"
