"""Jobs of provisioning on a real libvirt: nobody waits for a deaf guest, every disk has its size."""
import os

import pytest

from cloud import Cloud, loop_device
from conftest import run, wait_for


@pytest.fixture(scope="module")
def cloud():
    c = Cloud(**{"provision.stop_grace": "6s"})
    try:
        yield c.begin()
    finally:
        c.remove()


def test_guests_that_do_not_listen_hold_nobody_up(cloud):
    """Six graceful stops of deaf guests wait side by side; a start beside them is done at once."""
    vms = [cloud.vm(f"deaf{i}") for i in range(6)]
    stopped = cloud.vm("other", startvm="false")
    jobs = [cloud.job("stopVirtualMachine", u) for u in vms]
    wait_for("the guests to be asked", lambda: cloud.sql(
        "select count(*) from job where uuid = any(%s::uuid[]) and step like 'stopping%%'", jobs)[0][0] == 6, 10)
    other = cloud.job_end(cloud.job("startVirtualMachine", stopped))
    assert other[0] == "succeeded" and other[2] < 3, other
    ends = [cloud.job_end(j, 30) for j in jobs]
    assert all(e[0] == "succeeded" and 5.5 < e[2] < 12 for e in ends), ends
    for u in vms:
        assert cloud.state_of(u) == "Stopped"
        assert [i[3] for i in cloud.intervals(u, "running")] == ["stopped"]
    for u in [*vms, stopped]:
        cloud.job_end(cloud.job("destroyVirtualMachine", u, expunge="true"))


def test_a_stop_that_waits_survives_the_death_of_its_program(cloud):
    uuid = cloud.vm("patient")
    job = cloud.job("stopVirtualMachine", uuid)
    wait_for("the guest to be asked", lambda: cloud.sql("select step from job where uuid = %s", job)[0][0] == "stopping", 10)
    os.kill(cloud.child("provision")["pid"], 9)
    end = cloud.job_end(job, 30)
    assert end[0] == "succeeded" and end[2] < 20, end
    assert len(cloud.intervals(uuid, "running")) == 1 and cloud.intervals(uuid, "running")[0][1] is not None
    cloud.job_end(cloud.job("destroyVirtualMachine", uuid, expunge="true"))


def test_adopted_disks_on_devices_and_in_closed_folders_have_their_size(cloud):
    """libvirt is asked: neither a block device nor a file that only root may read is of size 0."""
    closed = cloud.state / "closed"
    closed.mkdir(mode=0o700)
    run("qemu-img", "create", "-q", "-f", "qcow2", closed / "hidden.qcow2", "48M")
    device = loop_device(closed / "loop.raw", 32 << 20)
    disks = [("file", "file", closed / "hidden.qcow2", "qcow2", 48 << 20)]
    if device:
        disks.append(("block", "dev", device, "raw", 32 << 20))
    try:
        for running in (False, True):
            name = f"foreign-{running}".lower()
            xml = "".join(
                f"<disk type='{t}' device='disk'><driver name='qemu' type='{f}'/><source {a}='{p}'/>"
                f"<target dev='vd{chr(97 + i)}' bus='virtio'/></disk>" for i, (t, a, p, f, _) in enumerate(disks))
            path = cloud.state / f"{name}.xml"
            path.write_text(f"<domain type='qemu'><name>{name}</name><memory unit='MiB'>48</memory><vcpu>1</vcpu>"
                            f"<os><type arch='x86_64' machine='q35'>hvm</type></os><devices>{xml}</devices></domain>")
            cloud.virsh("create" if running else "define", path)
            wait_for("adoption", lambda: cloud.jeoul("vm", "list", "--name", name), 25)
            # A domain that is starting may not know all sizes yet: they come with the next look, and count from
            # the first.
            wait_for("sizes and intervals", lambda: cloud.sql(
                """select target, w.size_bytes, l.size_bytes, l.valid_from = v.created from volume w
                join vm v on v.id = w.vm_id left join lifetime l on l.resource_id = w.id and l.kind = 'volume'
                where v.name = %s order by 1""", name)
                == [(f"vd{chr(97 + i)}", d[4], d[4], True) for i, d in enumerate(disks)], 15)
            cloud.virsh("destroy" if running else "undefine", name)
            wait_for("its end", lambda: not cloud.jeoul("vm", "list", "--name", name), 15)
    finally:
        if device:
            run("losetup", "-d", device)
    if not device:
        pytest.skip("no loop device here: only the file was looked at")


def test_the_last_sample_is_waited_for_not_guessed(cloud):
    """Before a forced stop every counter is read once more; with no collector the stop goes on all the same."""
    uuid = cloud.vm("sampled")
    end = cloud.job_end(cloud.job("stopVirtualMachine", uuid, forced=True))
    assert end[0] == "succeeded", end
    rows = cloud.sql("""select w.resource_kind, max(w.through) > l.valid_to - interval '2 s' from usage_window w
        join vm v on v.id = w.vm_id join lifetime l on l.resource_id = v.id and l.kind = 'running'
        where v.uuid = %s group by 1, l.valid_to order by 1""", uuid)
    assert rows == [("nic", True), ("vm", True), ("volume", True)]
    meter = cloud.child("meter")["pid"]
    cloud.job_end(cloud.job("startVirtualMachine", uuid))
    os.kill(meter, 19)
    try:
        end = cloud.job_end(cloud.job("stopVirtualMachine", uuid, forced=True))
        assert end[0] == "succeeded" and end[2] < 6, end
    finally:
        os.kill(meter, 18)
    cloud.job_end(cloud.job("destroyVirtualMachine", uuid, expunge="true"))
