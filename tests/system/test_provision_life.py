"""The life of a VM, its disks, images and snapshots, through the API, with a real guest that looks itself."""
import base64
import hashlib
import http.server
import subprocess
import threading
import time

import pytest

from cloud import Cloud
from conftest import run, wait_for


@pytest.fixture(scope="module")
def cloud():
    c = Cloud(**{"provision.stop_grace": "15s"})
    try:
        c.begin()
        c.jeoul("offering", "create", "large", "--vcpus", "2", "--memory", "224", "--rootdisksize", "1")
        c.guest_vm = c.vm("life", template="demo-guest")
        c.says(c.guest_vm, "true")
        yield c
        c.ledger_is_sound()
    finally:
        c.remove()


def intervals_fit(cloud, uuid, kind, reasons):
    """One interval after the other, without gap or overlap where a change is no stop; why each began and ended."""
    rows = cloud.intervals(uuid, kind)
    assert [(r[2], r[3]) for r in rows] == reasons, rows
    for a, b in zip(rows, rows[1:]):
        assert a[1] <= b[0], rows
    return rows


def test_suspend_and_resume(cloud):
    uuid = cloud.guest_vm
    before = len(cloud.intervals(uuid, "running"))
    vm = cloud.jeoul("vm", "suspend", "life")
    assert vm["paused"] is True and vm["state"] == "Running"
    assert cloud.virsh("domstate", uuid).strip() == "paused"
    vm = cloud.jeoul("vm", "resume", "life")
    assert vm["paused"] is False
    assert cloud.says(uuid, "echo there").strip() == "there"
    assert len(cloud.intervals(uuid, "running")) == before, "a suspended guest keeps its host's memory: one run"


def test_reset(cloud):
    uuid = cloud.guest_vm
    boot = cloud.says(uuid, "cat /proc/sys/kernel/random/boot_id").strip()
    assert boot
    before = cloud.intervals(uuid, "running")
    cloud.jeoul("vm", "reset", "life")
    wait_for("the guest to start anew", lambda: cloud.says(uuid, "cat /proc/sys/kernel/random/boot_id").strip() != boot, 60)
    assert cloud.intervals(uuid, "running") == before, "the same run"


def test_volume_from_birth_to_death(cloud):
    uuid = cloud.guest_vm
    v = cloud.jeoul("volume", "create", "papers", "--account", "acme", "--size", "1")
    assert v["state"] == "Allocated" and v["type"] == "DATADISK" and v["size"] == 1 << 30
    a = cloud.jeoul("volume", "attach", "papers", "--vm", "life")
    assert a["state"] == "Ready" and a["device"] == "vdb" and a["virtualmachineid"] == uuid
    wait_for("the guest to see it", lambda: cloud.says(uuid, "cat /sys/block/vdb/size").strip() == str(1 << 21), 20)
    assert cloud.says(uuid, "cat /sys/block/vdb/serial").strip() == v["id"][:20]
    cloud.says(uuid, "echo kept > /dev/vdb; sync")
    r = cloud.jeoul("volume", "resize", "papers", "--size", "2")
    assert r["size"] == 2 << 30
    wait_for("the guest to see it grown", lambda: cloud.says(uuid, "cat /sys/block/vdb/size").strip() == str(1 << 22), 20)
    refused = cloud.jeoul("volume", "resize", "papers", "--size", "1", check=False)
    assert refused.returncode != 0 and "only grow" in refused.stderr
    refused = cloud.jeoul("volume", "delete", "papers", check=False)
    assert refused.returncode != 0 and "detach it first" in refused.stderr
    d = cloud.jeoul("volume", "detach", "papers")
    assert "virtualmachineid" not in d and d["state"] == "Ready"
    assert "vdb" not in cloud.says(uuid, "ls /dev")
    # To a stopped VM it goes just as well, and what was written is still there.
    other = cloud.vm("second", template="demo-guest", startvm="false")
    cloud.jeoul("volume", "attach", "papers", "--vm", "second")
    cloud.jeoul("vm", "start", "second")
    assert cloud.says(other, "head -c4 /dev/vdb").strip() == "kept"
    cloud.jeoul("vm", "destroy", "second", "--expunge", "true")
    free = cloud.jeoul("volume", "list", "--name", "papers")[0]
    assert "virtualmachineid" not in free and free["state"] == "Ready", "data volumes outlive their VM"
    path = cloud.sql("select path from volume where uuid = %s", v["id"])[0][0]
    cloud.jeoul("volume", "delete", "papers")
    assert cloud.jeoul("volume", "list", "--name", "papers") == []
    rows = intervals_fit(cloud, v["id"], "volume", [
        ("created", "attached"), ("attached", "resized"), ("resized", "detached"), ("detached", "attached"),
        ("attached", "detached"), ("detached", "deleted")])
    assert [r[6] for r in rows] == [1 << 30] * 2 + [2 << 30] * 4
    assert all(a[1] == b[0] for a, b in zip(rows, rows[1:])), "not a microsecond without a charge"
    assert not cloud.exists(path)


def test_cards(cloud):
    uuid = cloud.guest_vm
    network = cloud.jeoul("network", "list", "--name", "default")[0]["id"]
    vm = cloud.jeoul("nic", "add", "life", "--network", "default")
    assert len(vm["nic"]) == 2 and vm["nic"][1]["networkid"] == network
    mac = vm["nic"][1]["macaddress"]
    wait_for("the guest to see it", lambda: mac in cloud.says(uuid, "cat /sys/class/net/eth*/address"), 20)
    cloud.says(uuid, "ip link set eth1 up; udhcpc -q -n -t 5 -T 2 -i eth1 -s /dhcp")
    assert "192.168.122." in cloud.says(uuid, "ip -4 addr show eth1")
    # Each card is sampled as itself.
    wait_for("its samples", lambda: cloud.sql("""select count(*) from usage_window w join nic n on n.id = w.resource_id
        where n.mac = %s and w.net_tx_bytes > 0""", mac)[0][0] == 1, 20)
    vm = cloud.jeoul("nic", "remove", vm["nic"][1]["id"], "--vm", "life")
    assert len(vm["nic"]) == 1
    assert mac not in cloud.says(uuid, "cat /sys/class/net/eth*/address")


def test_scale_up_live_and_down_at_the_next_start(cloud):
    uuid = cloud.guest_vm
    vm = cloud.jeoul("vm", "scale", "life", "--offering", "large")
    assert vm["cpunumber"] == 2 and vm["memory"] == 224 and "nextcpunumber" not in vm
    cloud.says(uuid, "for c in /sys/devices/system/cpu/cpu[1-9]*/online; do echo 1 > $c; done; "
                     "for m in /sys/devices/system/memory/memory*/state; do echo online > $m; done; true")
    assert cloud.says(uuid, "nproc").strip() == "2"
    assert int(cloud.says(uuid, "grep MemTotal /proc/meminfo | tr -dc 0-9")) > 150_000, "128 MiB more"
    vm = cloud.jeoul("vm", "scale", "life", "--offering", "tiny")
    assert (vm["cpunumber"], vm["memory"], vm["nextcpunumber"], vm["nextmemory"]) == (2, 224, 1, 96)
    assert vm["serviceofferingname"] == "tiny"
    vm = cloud.jeoul("vm", "reboot", "life")
    assert (vm["cpunumber"], vm["memory"]) == (1, 96) and "nextcpunumber" not in vm
    assert cloud.says(uuid, "nproc").strip() == "1"
    sizes = [(r[4], r[5] >> 20) for r in cloud.intervals(uuid, "allocated")]
    assert sizes == [(1, 96), (2, 224), (2, 224), (1, 96)], "offering by offering, what the guest had"


def test_snapshot_of_a_disk_under_load(cloud):
    """The copy is of one instant, the guest runs on, and the disk can be given back."""
    uuid = cloud.guest_vm
    root = cloud.jeoul("volume", "list", "--virtualmachineid", uuid, "--type", "ROOT")[0]
    cloud.says(uuid, "echo before > /dev/vda; sync")
    s = cloud.jeoul("snapshot", "create", root["id"], "--name", "monday")
    assert s["state"] == "BackedUp" and 0 < s["physicalsize"] < s["virtualsize"] == root["size"]
    cloud.says(uuid, "echo after! > /dev/vda; sync")
    refused = cloud.jeoul("snapshot", "revert", "monday", check=False)
    assert refused.returncode != 0 and "stop it first" in refused.stderr
    cloud.jeoul("vm", "stop", "life")
    cloud.jeoul("snapshot", "revert", "monday")
    cloud.jeoul("vm", "start", "life")
    assert cloud.says(uuid, "head -c6 /dev/vda").strip() == "before"
    # The same from a stopped VM, a volume of it, and a template with a VM of that.
    cloud.jeoul("vm", "stop", "life")
    cold = cloud.jeoul("snapshot", "create", root["id"], "--name", "cold")
    assert cold["state"] == "BackedUp"
    cloud.jeoul("vm", "start", "life")
    cloud.jeoul("volume", "create", "copy", "--account", "acme", "--snapshot", "monday")
    cloud.jeoul("volume", "attach", "copy", "--vm", "life")
    wait_for("the copy in the guest", lambda: cloud.says(uuid, "head -c6 /dev/vdb").strip() == "before", 20)
    cloud.jeoul("volume", "detach", "copy")
    cloud.jeoul("volume", "delete", "copy")
    t = cloud.jeoul("template", "create", "golden", "--snapshot", "cold", "--account", "acme")
    assert t["isready"] is True and t["account"] == "acme"
    twin = cloud.vm("twin", template="golden")
    disk = cloud.sql("select path, backing from volume v join vm m on m.id = v.vm_id where m.uuid = %s", twin)[0]
    assert cloud.exists(disk[1]), "it stands on the template's file"
    cloud.jeoul("template", "delete", "golden")
    assert cloud.exists(disk[1]), "which stays while it does"
    cloud.jeoul("vm", "destroy", "twin", "--expunge", "true")
    wait_for("the template's file to go", lambda: not cloud.exists(disk[1]), 30)
    for name in ("monday", "cold"):
        path = cloud.sql("select path from snapshot where name = %s", name)[0][0]
        assert cloud.exists(path)
        cloud.jeoul("snapshot", "delete", name)
        assert not cloud.exists(path)
    for uuid, kind in ((s["id"], "snapshot"), (cold["id"], "snapshot"), (t["id"], "template")):
        assert [(r[2], r[3]) for r in cloud.intervals(uuid, kind)] == [("created", "deleted")]


def test_snapshot_of_a_whole_vm(cloud):
    uuid = cloud.guest_vm
    refused = cloud.jeoul("vm-snapshot", "create", "life", check=False)
    assert refused.returncode != 0 and "keeps its memory too" in refused.stderr
    cloud.says(uuid, "echo one > /dev/vda; echo memory > /tmp/note; sync")
    s = cloud.jeoul("vm-snapshot", "create", "life", "--name", "point", "--snapshotmemory", "true")
    assert s["state"] == "Ready" and s["type"] == "DiskAndMemory" and s["current"] is True
    cloud.says(uuid, "echo two > /dev/vda; rm /tmp/note; sync")
    refused = cloud.jeoul("volume", "resize", cloud.jeoul("volume", "list", "--virtualmachineid", uuid)[0]["id"],
                          "--size", "3", check=False)
    assert refused.returncode != 0 and "hold on to its disks" in refused.stderr
    cloud.jeoul("vm-snapshot", "revert", s["id"])
    assert cloud.says(uuid, "echo 3 > /proc/sys/vm/drop_caches; head -c3 /dev/vda; cat /tmp/note").split() == \
        ["onememory"]
    cloud.jeoul("vm-snapshot", "delete", s["id"])
    assert cloud.jeoul("vm-snapshot", "list") == []
    assert [(r[2], r[3]) for r in cloud.intervals(s["id"], "vm_snapshot")] == [("created", "deleted")]


def boot_image(folder):
    """An ISO that boots: its boot sector says RESCUE on the serial port and halts."""
    code = b"".join(b"\xba\xfd\x03\xec\xa8\x20\x74\xfb\xba\xf8\x03\xb0" + bytes([c]) + b"\xee" for c in b"RESCUE\r\n")
    sector = (code + b"\xf4\xeb\xfd").ljust(510, b"\0") + b"\x55\xaa"
    (folder / "tree").mkdir(exist_ok=True)
    (folder / "tree/boot.img").write_bytes(sector.ljust(2048, b"\0"))
    (folder / "tree/hello.txt").write_text("hello from the image\n")
    run("genisoimage", "-quiet", "-o", folder / "boot.iso", "-b", "boot.img", "-no-emul-boot", "-c", "boot.cat",
        "-boot-load-size", "4", "-V", "HELLO", "-r", folder / "tree")
    return folder / "boot.iso"


@pytest.fixture(scope="module")
def web_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("www")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *a, **k):
            super().__init__(*a, directory=str(folder), **k)

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.folder, server.url = folder, f"http://127.0.0.1:{server.server_address[1]}"
    yield server
    server.shutdown()


def test_images_from_a_url_drive_and_rescue(cloud, web_server):
    uuid = cloud.guest_vm
    iso = boot_image(web_server.folder)
    good = hashlib.sha512(iso.read_bytes()).hexdigest()
    cloud.jeoul("iso", "register", "tools", "--from", f"{web_server.url}/boot.iso", "--checksum", "{SHA-512}" + good,
                "--ispublic", "true")
    found = wait_for("the image", lambda: [i for i in cloud.jeoul("iso", "list") if i["isready"]], 20)[0]
    assert found["size"] == iso.stat().st_size
    assert found["checksum"] == hashlib.sha256(iso.read_bytes()).hexdigest()
    vm = cloud.jeoul("iso", "attach", "tools", "--vm", "life")
    assert vm["isoname"] == "tools"
    wait_for("the image in the drive", lambda: "hello from the image" in cloud.says(
        uuid, "mount -t iso9660 -o ro /dev/sr0 /mnt 2>&1; cat /mnt/hello.txt; umount /mnt"), 20)
    # The drive stays filled over a stop.
    cloud.jeoul("vm", "reboot", "life")
    assert "hello from" in cloud.says(uuid, "mount -t iso9660 -o ro /dev/sr0 /mnt; cat /mnt/hello.txt; umount /mnt")
    vm = cloud.jeoul("iso", "detach", "life")
    assert "isoid" not in vm
    cloud.jeoul("vm", "rescue", "life", "--iso", "tools", "--forced", "true")
    wait_for("the rescue system's words", lambda: "RESCUE" in cloud.jeoul("vm", "console", "life")["log"], 30)
    vm = cloud.jeoul("vm", "unrescue", "life", "--forced", "true")
    assert "rescueid" not in vm
    assert cloud.says(uuid, "echo back").strip() == "back"
    cloud.jeoul("iso", "delete", "tools")
    assert cloud.jeoul("iso", "list") == []
    assert not list((cloud.state / "images").glob("tmpl-*")) and not list((cloud.state / "templates").iterdir())


def test_images_that_are_no_good(cloud, web_server):
    """A wrong checksum, an overlay that names a file of the host, nothing there: each says so, none is left over."""
    folder = web_server.folder
    run("qemu-img", "create", "-q", "-f", "qcow2", folder / "plain.qcow2", "8M")
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", folder / "overlay.qcow2", "8M")
    (folder / "empty.raw").write_bytes(b"")
    cases = [("wrong", "plain.qcow2", "QCOW2", "0" * 64, "checksum does not fit"),
             ("spy", "overlay.qcow2", "QCOW2", None, "overlay over another file"),
             ("nothing", "empty.raw", "RAW", None, "empty file"),
             ("other", "plain.qcow2", "RAW", None, "is qcow2, not raw"),
             ("gone", "no-such-file", "QCOW2", None, "can't be fetched")]
    for name, file, form, checksum, why in cases:
        words = ["--checksum", checksum] if checksum else []
        cloud.jeoul("template", "register", name, "--format", form, "--from", f"{web_server.url}/{file}", *words)
        told = wait_for(f"the refusal of {name}", lambda n=name: [
            t["status"] for t in cloud.jeoul("template", "list", "--name", n)
            if not t["isready"] and t["status"] != "Downloading"], 20)[0]
        assert why in told, told
        refused = cloud.jeoul("vm", "create", "x", "--account", "acme", "--offering", "tiny", "--template", name, check=False)
        assert refused.returncode != 0 and "is not ready" in refused.stderr, refused.stderr
        cloud.jeoul("template", "delete", name)
    cloud.jeoul("template", "register", "good", "--format", "QCOW2", "--from", f"{web_server.url}/plain.qcow2",
                "--checksum", hashlib.sha256((folder / "plain.qcow2").read_bytes()).hexdigest())
    wait_for("the good one", lambda: cloud.jeoul("template", "list", "--name", "good")[0]["isready"], 20)
    made = cloud.vm("of-good", template="good")
    assert cloud.state_of(made) == "Running"
    cloud.jeoul("vm", "destroy", "of-good", "--expunge", "true")
    cloud.jeoul("template", "delete", "good")
    assert not list((cloud.state / "templates").iterdir())


KEY = ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5mtW0nhFqcQCtYc8lmhO8Yh6x3mQm7O3mJvTgqkN1P tester")


def test_seed_for_cloud_init(cloud):
    """User data, keys and password are on a volume that the guest mounts; a new password makes it a new instance."""
    k = cloud.jeoul("key", "register", "laptop", "--publickey", KEY, "--account", "acme")
    shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=KEY + "\n", text=True, capture_output=True)
    if shown.returncode == 0:
        assert k["fingerprint"] == shown.stdout.split()[1]
    data = "#!/bin/sh\necho 안녕 \"quoted\"\n"
    uuid = cloud.vm("seeded", template="demo-guest", userdata=base64.b64encode(data.encode()).decode(), keypair="laptop")
    mount = "mount -t vfat -o ro,utf8 /dev/sda /mnt"
    assert cloud.says(uuid, f"{mount}; ls /mnt").split() == ["meta-data", "user-data", "vendor-data"]
    assert "local-hostname: \"seeded\"" in cloud.says(uuid, "cat /mnt/meta-data")
    read = cloud.says(uuid, "sha256sum < /mnt/user-data").split()[0]
    assert read == hashlib.sha256(data.encode()).hexdigest()
    assert KEY in cloud.says(uuid, "cat /mnt/vendor-data; umount /mnt")
    refused = cloud.jeoul("vm", "password", "seeded", check=False)
    assert refused.returncode != 0 and "stop it first" in refused.stderr
    cloud.jeoul("vm", "stop", "seeded")
    vm = cloud.jeoul("vm", "password", "seeded")
    assert len(vm["password"]) >= 16
    cloud.jeoul("vm", "start", "seeded")
    told = cloud.says(uuid, f"{mount}; cat /mnt/meta-data /mnt/vendor-data; umount /mnt")
    assert f"{uuid}-1" in told, "another instance id"
    hashed = told.split("password: ")[1].split('"')[1]
    import ctypes
    libcrypt = ctypes.CDLL("libcrypt.so.1")
    libcrypt.crypt.restype = ctypes.c_char_p
    assert libcrypt.crypt(vm["password"].encode(), hashed.encode()).decode() == hashed
    assert "password" not in cloud.jeoul("vm", "list", "--name", "seeded")[0], "shown once"
    cloud.jeoul("vm", "destroy", "seeded", "--expunge", "true")
    cloud.jeoul("key", "delete", "laptop", "--account", "acme")


def test_tags(cloud):
    uuid = cloud.guest_vm
    cloud.jeoul("tag", "create", uuid, "--resourcetype", "UserVm", "--tags[0].key", "env", "--tags[0].value", "prod",
                "--tags[1].key", "team", "--tags[1].value", "blue")
    assert {t["key"]: t["value"] for t in cloud.jeoul("vm", "list", "--name", "life")[0]["tags"]} == \
        {"env": "prod", "team": "blue"}
    cloud.jeoul("tag", "create", uuid, "--resourcetype", "UserVm", "--tags[0].key", "env", "--tags[0].value", "test")
    assert [t["value"] for t in cloud.jeoul("tag", "list", "--key", "env")] == ["test"]
    cloud.jeoul("tag", "delete", uuid, "--resourcetype", "UserVm")
    assert cloud.jeoul("tag", "list") == []


def test_bin(cloud):
    """Destroyed, it costs nothing and can come back with what was on its disk; then it is gone for good."""
    uuid = cloud.vm("bin", template="demo-guest")
    cloud.says(uuid, "echo precious > /dev/vda; sync")
    cloud.jeoul("vm", "destroy", "bin")
    assert cloud.jeoul("vm", "list", "--name", "bin") == []
    assert [v["id"] for v in cloud.jeoul("vm", "list", "--state", "Destroyed")] == [uuid]
    assert cloud.sql("select count(*) from lifetime l where l.valid_to is null and l.resource_name like 'bin%%'")[0][0] == 0
    # What virsh does to it meanwhile is not taken for a VM of somebody's.
    time_up = cloud.sql("select now()")[0][0]
    # It counts again when it comes back, and not before.
    machines = cloud.sql("select count(*) from vm where removed is null and account_id = (select id from account where name = 'acme')")[0][0]
    cloud.jeoul("limit", "set", "0", "--max", machines, "--account", "acme")
    refused = cloud.jeoul("vm", "recover", uuid, check=False)
    assert refused.returncode != 0 and "'user_vm' for account name=acme" in refused.stderr
    cloud.jeoul("limit", "set", "0", "--max", -1, "--account", "acme")
    cloud.jeoul("vm", "recover", uuid)
    vm = cloud.jeoul("vm", "list", "--name", "bin")[0]
    assert vm["state"] == "Stopped" and len(vm["volumes"]) == 1 and len(vm["nic"]) == 1
    cloud.jeoul("vm", "start", "bin")
    assert cloud.says(uuid, "head -c8 /dev/vda").strip() == "precious"
    rows = cloud.intervals(uuid, "allocated")
    assert [(r[2], r[3]) for r in rows] == [("created", "destroyed"), ("recovered", None)] and rows[1][0] > time_up
    refused = cloud.jeoul("vm", "expunge", "bin", check=False)
    assert refused.returncode != 0 and "is not destroyed" in refused.stderr
    cloud.jeoul("vm", "destroy", "bin")
    cloud.jeoul("vm", "expunge", uuid)
    refused = cloud.jeoul("vm", "recover", uuid, check=False)
    assert refused.returncode != 0
    assert cloud.virsh("domstate", uuid, check=False) == ""
    assert not list((cloud.state / "images").glob(f"*{uuid}*")) and not list((cloud.state / "console").glob(f"*{uuid}*"))


def test_bin_is_emptied_by_the_clock():
    c = Cloud(**{"provision.expunge_after": "4s"})
    try:
        c.begin()
        uuid = c.vm("short")
        c.jeoul("vm", "destroy", "short")
        assert c.sql("select expunged is null from vm where uuid = %s", uuid)[0][0]
        wait_for("the bin to be emptied", lambda: c.sql("select expunged is not null from vm where uuid = %s", uuid)[0][0], 30)
        assert not list((c.state / "images").glob("*"))
        c.ledger_is_sound()
    finally:
        c.remove()


def test_a_tenant_reaches_only_the_own_things(cloud):
    """Another account's ids lead nowhere, for every kind of thing."""
    cloud.jeoul("account", "create", "evil", "--username", "evil", "--password", "a long password")
    user = cloud.jeoul("user", "list", "--username", "evil")[0]["id"]
    keys = cloud.jeoul("user", "keys", user)
    root = cloud.jeoul("volume", "list", "--virtualmachineid", cloud.guest_vm)[0]["id"]
    snap = cloud.jeoul("snapshot", "create", root, "--name", "secret")["id"]
    tries = [
        ("POST", f"virtual-machines/{cloud.guest_vm}/suspend", {}), ("POST", f"virtual-machines/{cloud.guest_vm}/reset", {}),
        ("DELETE", f"virtual-machines/{cloud.guest_vm}", None), ("GET", f"virtual-machines/{cloud.guest_vm}/console-log", None),
        ("POST", f"virtual-machines/{cloud.guest_vm}/password", {}), ("PATCH", f"virtual-machines/{cloud.guest_vm}", {"name": "x"}),
        ("POST", "snapshots", {"volumeid": root}), ("POST", f"snapshots/{snap}/revert", {}), ("DELETE", f"snapshots/{snap}", None),
        ("POST", "volumes", {"snapshotid": snap}), ("POST", f"volumes/{root}/resize", {"size": 9}),
        ("DELETE", f"volumes/{root}", None), ("POST", "templates/from-disk", {"name": "x", "snapshotid": snap}),
        ("POST", "vm-snapshots", {"virtualmachineid": cloud.guest_vm}),
        ("POST", "tags", {"resourceids": [cloud.guest_vm], "resourcetype": "UserVm", "tags": {"a": "b"}})]
    for method, path, body in tries:
        status, answer = cloud.rest(keys, method, path, body)
        assert status in (404, 400, 431) and "exist" in answer, (method, path, status, answer)
    assert cloud.rest(keys, "GET", "snapshots", None)[1] == '{"count":0,"snapshot":[]}'
    assert cloud.rest(keys, "GET", "volumes", None)[1] == '{"count":0,"volume":[]}'
    cloud.jeoul("snapshot", "delete", "secret")
