"""What the tests of provisioning share: a stack of its own with light guests and the demo guest."""
import base64
import http.client
import json
import os
import shutil
import subprocess
import sys

from conftest import BIN, TOP, Stack, run, wait_for


# Guests that end are the children of whoever takes orphans in: here at once, elsewhere when init looks.
REAPER = """
import ctypes, os, sys
PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
while os.wait()[0] != child:
    pass
"""


class Host:
    """A further libvirtd with its own network and names, on the same disks."""

    def __init__(self, cloud, name):
        self.cloud, self.name, self.folder = cloud, name, cloud.state / name
        self.folder.mkdir(mode=0o755)
        # What the first host found out about QEMU need not be asked again.
        cache = cloud.state / "libvirt/cache"
        if cache.exists():
            shutil.copytree(cache, self.folder / "cache", dirs_exist_ok=True)
        self.start()

    def start(self):
        log = open(self.folder / "run.log", "ab")
        self.process = subprocess.Popen([sys.executable, "-c", REAPER, str(TOP / "setup/host"), "run", str(self.folder)], stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        socket_path = self.folder / "run/libvirt-sock"
        wait_for(f"{self.name}", lambda: run("virsh", "-q", "-c", self.uri, "list", check=False).returncode == 0, 40)
        assert socket_path.exists()

    @property
    def uri(self):
        return f"qemu+unix:///system?socket={self.folder}/run/libvirt-sock"

    def pid(self):
        return int((self.folder / "libvirtd.pid").read_text())

    def virsh(self, *words, check=True):
        return run("virsh", "-q", "-c", self.uri, *words, check=check).stdout

    def inside(self, *argv, **more):
        anchor = (self.folder / "anchor.pid").read_text().strip()
        return run("nsenter", "-t", anchor, "-m", "-n", "-u", *argv, **more)

    def stop(self):
        run(TOP / "setup/host", "stop", self.folder, check=False)
        self.process.wait(20)


class Cloud(Stack):
    """A Jeoul whose guests come and go: short steps, one tenant called acme."""

    def __init__(self, **settings):
        self.hosts = []
        super().__init__(**{"meter.step": "2s", "meter.guarded_step": "4s", "billing.interval": "30s", **settings})

    def begin(self):
        self.start()
        run(BIN / "jeoul-first-admin", env=self.env)
        run(TOP / "setup/guest/build", self.state / "guest", seconds=120)
        wait_for("a host", lambda: [h for h in self.jeoul("host", "list") if h["state"] == "Up"])
        self.jeoul("account", "create", "acme", "--username", "acme", "--password", "a long password")
        self.jeoul("offering", "create", "tiny", "--vcpus", "1", "--memory", "96", "--rootdisksize", "1")
        self.jeoul("template", "register", "demo-guest",
                   "--details[0].kernel", self.state / "guest/kernel",
                   "--details[0].initrd", self.state / "guest/initrd",
                   "--details[0].cmdline", (self.state / "guest/cmdline").read_text().strip())
        # No operating system: up in half a second, small, and deaf to the power button.
        empty = self.state / "guest/empty.qcow2"
        run("qemu-img", "create", "-q", "-f", "qcow2", empty, "16M")
        empty.chmod(0o644)
        self.jeoul("template", "register", "empty", "--format", "QCOW2", f"--url=file://{empty}", "--size", 16 << 20)
        return self

    def host(self, name, **more):
        """Adds a further real host."""
        h = Host(self, name)
        self.hosts.append(h)
        words = [w for k, v in more.items() for w in (f"--{k}", v)]
        h.id = self.jeoul("host", "add", h.uri, "--name", name, *words)[0]["id"]
        return h

    def stop(self):
        super().stop()
        for h in self.hosts:
            h.stop()

    def vm(self, name, template="empty", offering="tiny", **more):
        words = [w for k, v in more.items() for w in (f"--{k}", v)]
        return self.jeoul("vm", "create", name, "--account", "acme", "--offering", offering, "--template", template,
                          *words)["id"]

    def says(self, uuid, command, seconds=90):
        """What the shell of the demo guest answers; a command is given again until the guest is up."""
        return self.guest(uuid, f"run {command}", seconds=seconds, patience=8)["output"]

    def exists(self, path):
        return os.path.exists(path)

    def rest(self, keys, method, path, body):
        """A call of REST with a tenant's keys: status and text."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        pair = base64.b64encode(f"{keys['apikey']}:{keys['secretkey']}".encode()).decode()
        link.request(method, f"/v1/{path}", body=None if body is None else json.dumps(body),
                     headers={"Authorization": f"Basic {pair}", "Content-Type": "application/json"})
        answer = link.getresponse()
        text = answer.read().decode()
        link.close()
        return answer.status, text

    def ledger_is_sound(self):
        """Every question of sql/checks answers with no row."""
        assert self.check() == []

    def state_of(self, uuid):
        return self.sql("select state from vm where uuid = %s", uuid)[0][0]

    def job(self, command, uuid, **request):
        """A job as the web server writes it, without waiting for it."""
        return self.sql("""with made as (insert into job (account_id, command, object_kind, object_uuid, request)
            select account_id, %s, 'vm', uuid, %s::jsonb from vm where uuid = %s returning uuid)
            select uuid, pg_notify('jeoul_job', '') from made""", command, json.dumps(request), uuid)[0][0]

    def job_end(self, job, seconds=60):
        """Its state, error text and how long it took."""
        return wait_for(f"job {job}", lambda: self.sql(
            """select state, error_text, extract(epoch from finished - created)::float8 from job
            where uuid = %s and finished is not null""", job), seconds)[0]

    def intervals(self, uuid, kind):
        return self.sql("""select valid_from, valid_to, open_reason, close_reason, vcpus, memory_bytes, size_bytes
            from lifetime where resource_uuid = %s and kind = %s order by valid_from""", uuid, kind)

    def inside(self, *argv, **more):
        """A command inside the namespaces of the private VM host."""
        anchor = (self.state / "libvirt/anchor.pid").read_text().strip()
        return run("nsenter", "-t", anchor, "-m", "-n", "-u", *argv, **more)


def loop_device(path, size):
    """A block device over a file, or None where the machine has none."""
    with open(path, "wb") as f:
        f.truncate(size)
    done = subprocess.run(["losetup", "--find", "--show", str(path)], capture_output=True, text=True, timeout=20)
    return done.stdout.strip() if done.returncode == 0 else None
