"""A complete Jeoul of its own: state folder, PostgreSQL, VM host, guests.  Nothing is simulated."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import psycopg2
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = TOP / os.environ.get("BUILD", "build") / "bin"


PATIENCE = 3  # other tests run beside; a machine may be slow


def wait_for(what, condition, seconds=30, law=False):
    """Asks until condition() is true; never sleeps blindly, always ends.

    seconds is what a quiet machine needs at most: the wait is PATIENCE times that, for what is
    only waited for.  Where the time itself is promised, law=True keeps it as it stands.
    """
    seconds *= 1 if law else PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.1)


def free_port():
    """Below those that the kernel gives to connections: nobody else takes it before it is used."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def run(*argv, env=None, check=True, seconds=60):
    done = subprocess.run([str(a) for a in argv], env=env, text=True, capture_output=True,
                          timeout=seconds, stdin=subprocess.DEVNULL)
    assert not check or done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done


@contextlib.contextmanager
def stopped(pid):
    """It stands still meanwhile, with the children that it has then."""
    os.kill(pid, signal.SIGSTOP)
    every = [pid, *map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    try:
        for child in every[1:]:
            with contextlib.suppress(ProcessLookupError):  # one of a server's may have just ended
                os.kill(child, signal.SIGSTOP)
        yield
    finally:
        for one in reversed(every):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGCONT)


class Stack:
    """One running jeould in its own state folder."""

    def __init__(self, hypervisor="private", checked=True, **settings):
        self.checked = checked  # False: the test writes nonsense into the database on purpose
        self.state = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-", dir="/tmp"))
        self.state.chmod(0o755)
        self.port = free_port()
        self.settings = {"state": self.state, "web.listen": f"127.0.0.1:{self.port}",
                         "hypervisor.start": hypervisor, **settings}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("JEOUL_")}
        self.env = clean | {"JEOUL_" + k.upper().replace(".", "_"): str(v)
                            for k, v in self.settings.items()}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds=90):
        run(BIN / "jeould", "--daemon", env=self.env, seconds=seconds)

    def stop(self):
        run(BIN / "jeould", "--stop", env=self.env, check=False)
        run(TOP / "setup/host", "stop", self.state / "libvirt", check=False)

    def check(self, *names):
        """The questions of sql/checks: answers those that have rows."""
        done = run(BIN / "jeoul-check", "--json", *names, env=self.env, check=False)
        assert done.returncode in (0, 1), done.stderr
        return [c for c in json.loads(done.stdout) if c["rows"]]

    def remove(self):
        """Whatever a test did, usage and charges must fit together at its end."""
        try:
            if self.checked and self.status():
                wait_for("all programs", self.ready)
                assert self.check() == []
        finally:
            self.stop()
            shutil.rmtree(self.state, ignore_errors=True)

    def status(self):
        done = run(BIN / "jeould", "--status", env=self.env, check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def child(self, name):
        return next(c for c in self.status()["children"] if c["name"] == name)

    def ready(self):
        status = self.status()
        return status if status and status["ready"] else None

    def dsn(self, role="owner"):
        """How one of the programs, or the owner, connects: root may be each of them."""
        return (f"host={self.state}/pg dbname=jeoul user=jeoul_{role} "
                "options='-c search_path=jeoul,public -c TimeZone=UTC'")

    def sql(self, query, *values, role="owner"):
        with psycopg2.connect(self.dsn(role)) as link:
            with link.cursor() as cursor:
                cursor.execute(query, values)
                rows = cursor.fetchall() if cursor.description else None
        link.close()
        return rows

    def jeoul(self, *words, check=True, seconds=130):
        done = run(BIN / "jeoul", "--json", *words, env=self.env, check=check, seconds=seconds)
        return json.loads(done.stdout) if check and done.stdout.strip() else done

    def virsh(self, *words, check=True):
        uri = f"qemu+unix:///system?socket={self.state}/libvirt/run/libvirt-sock"
        return run("virsh", "-q", "-c", uri, *words, check=check).stdout

    def guest(self, uuid, command, seconds=150, patience=None):
        """A command for the guest's agent; answers its own account of what it did.

        patience: ask again after so many seconds, since what is sent before the agent has opened
        its port is lost; only for commands that may be given twice."""
        path = str(self.state / "console" / f"{uuid[:8]}.ctl")
        end = time.monotonic() + seconds
        number = str(time.monotonic_ns())
        while True:
            try:
                link = socket.socket(socket.AF_UNIX)
                link.settimeout(patience or max(1, end - time.monotonic()))
                link.connect(path)
                link.sendall(f"#{number} {command}\n".encode())
                with link.makefile("rb") as lines:
                    for line in lines:  # also late answers to what was asked twice before
                        if line.endswith(b"\n") and f'"for":"{number}"'.encode() in line:
                            return json.loads(line)
                raise OSError("closed")
            except OSError:
                assert time.monotonic() < end, f"guest {uuid}: no answer to {command}"
                time.sleep(0.2)
            finally:
                link.close()

    def demo(self, guests=("web1",)):
        """A tenant with guests on the demo image, priced by the shipped price list."""
        run(TOP / "setup/guest/build", self.state / "guest", seconds=120)
        wait_for("a host", lambda: [h for h in self.jeoul("host", "list") if h["state"] == "Up"])
        run(BIN / "jeoul", "tariff", "import", TOP / "billing/presets/small-hoster.json", env=self.env)
        self.jeoul("account", "create", "acme", "--username", "acme", "--password", "a long password")
        self.jeoul("tariff", "assign", "small-hoster", "--account", "acme")
        self.jeoul("tariff", "assign", "small-hoster", "--account", "admin")
        self.jeoul("offering", "create", "tiny", "--vcpus", "1", "--memory", "96", "--rootdisksize", "1")
        self.jeoul("template", "register", "demo-guest",
                   "--details[0].kernel", self.state / "guest/kernel",
                   "--details[0].initrd", self.state / "guest/initrd",
                   "--details[0].cmdline", (self.state / "guest/cmdline").read_text().strip())
        for name in guests:
            self.jeoul("vm", "create", name, "--account", "acme", "--offering", "tiny",
                       "--template", "demo-guest")
        vms = {vm["name"]: vm["id"] for vm in self.jeoul("vm", "list")}
        for name, uuid in vms.items():
            wait_for(f"the network of {name}", lambda u=uuid: self.guest(u, "send 1", 60, 3)["ok"], 60)
        return vms


@pytest.fixture(scope="session")
def stack():
    """The stack that most tests share: three real guests, short steps."""
    s = Stack(**{"meter.step": "2s", "meter.guarded_step": "4s", "alarm.host_after": "3s",
                 "billing.interval": "5s"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        s.vms = s.demo(("web1", "db1", "shop1"))
        yield s
    finally:
        s.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what its programs logged last: their state folder is gone afterwards."""
    report = (yield).get_result()
    if not report.failed:
        return
    for stack in item.funcargs.values():
        if isinstance(stack, Stack):
            for log in sorted(stack.state.glob("log/*")) + sorted(stack.state.glob("libvirt/log/*.log")):
                report.sections.append((str(log), "\n".join(log.read_text(errors="replace").splitlines()[-60:])))
