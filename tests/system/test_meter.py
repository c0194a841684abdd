"""The collector over real guests: cards, disks, hung guests, hosts that go away."""
from conftest import TOP, wait_for


def foreign(stack, name, uuid, devices="", memory=96):
    """A guest that somebody else defined and started; found and adopted by us."""
    disk = stack.state / f"images/{name}.raw"
    with open(disk, "wb") as f:
        f.truncate(64 << 20)
    xml = (TOP / "setup/guest/domain.xml").read_text().replace("/tmp/hb/disk.raw", str(disk)) \
        .replace("/tmp/guest/", f"{stack.state}/guest/").replace("/tmp/hb/", f"{stack.state}/console/") \
        .replace("guest1.ctl", f"{uuid[:8]}.ctl").replace("guest1", name) \
        .replace("11111111-2222-4333-8444-555555555555", uuid).replace("<memory unit='MiB'>96", f"<memory unit='MiB'>{memory}") \
        .replace("<interface type='network'>", f"{devices}<interface type='network'>")
    path = stack.state / f"{name}.xml"
    path.write_text(xml)
    stack.virsh("define", path)
    stack.virsh("start", name)
    wait_for(f"the adoption of {name}", lambda: stack.sql(
        "select 1 from vm where uuid = %s and state = 'Running'", uuid), 25)


def forget(stack, name, uuid):
    stack.virsh("destroy", name, check=False)
    stack.virsh("undefine", name)
    wait_for(f"the end of {name}", lambda: not stack.sql(
        "select 1 from vm where uuid = %s and removed is null", uuid), 25)


def test_a_card_without_counters_hides_no_later_one(stack):
    """Cards of user mode networks have no counters at all: the next card is still measured."""
    uuid = "22222222-aaaa-4333-8444-555555555555"
    foreign(stack, "cards1", uuid, "<interface type='user'><mac address='52:54:00:77:00:01'/>"
            "<model type='virtio'/></interface>")
    try:
        target, kind = stack.virsh("domiflist", "cards1").split("\n")[1].split()[:2]
        assert kind == "network"
        mac = stack.virsh("domiflist", "cards1").split("\n")[1].split()[-1]

        def raw():
            return stack.sql("""select n.mac, w.raw_net_tx + w.raw_net_rx from usage_window w
                join nic n on n.account_id = w.account_id and n.id = w.resource_id
                join vm v on v.id = w.vm_id where v.uuid = %s order by w.through desc limit 1""", uuid)
        rows = wait_for("samples of the card", raw, 20)
        assert rows[0][0] == mac

        def host_side():
            words = stack.virsh("domifstat", "cards1", target).split()
            return int(words[words.index("rx_bytes") + 1]) + int(words[words.index("tx_bytes") + 1])
        seen = host_side()
        assert wait_for("a later sample", lambda: raw()[0][1] >= seen and raw(), 20)[0][1] <= host_side()
        assert stack.sql("""select count(*) from usage_window w join nic n on n.id = w.resource_id
            where n.mac = '52:54:00:77:00:01'""")[0][0] == 0, "no answer is never zero"
    finally:
        forget(stack, "cards1", uuid)
