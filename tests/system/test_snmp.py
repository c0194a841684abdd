"""Alarms at a real snmptrapd and a real rsyslogd, with everything that may be away, away."""
import os
import re
import shutil
import signal
import time

import pytest

from conftest import BIN, TOP, Stack, run, stopped, wait_for
from noc import Authority, MibTrapd, Network, Rsyslogd, Sender, Trapd, story, text

RULE = "role.down"


@pytest.fixture
def receivers(tmp_path):
    """One of each kind, not started yet: informs with traps, traps alone, syslog by UDP and by TCP."""
    all_of_them = [Trapd(tmp_path, "auto"), Trapd(tmp_path, "trap"), Rsyslogd(tmp_path, "udp"),
                   Rsyslogd(tmp_path, "tcp", "tcp")]
    yield all_of_them
    for r in all_of_them:
        r.stop()


def settings_of(receivers):
    auto, trap, udp, tcp = (r.port for r in receivers)
    return {"snmp.trap": f"127.0.0.1:{auto} 127.0.0.1:{trap},trap",
            "syslog.target": f"udp:127.0.0.1:{udp} tcp:127.0.0.1:{tcp}"}


@pytest.fixture
def sender(tmp_path, receivers):
    s = Sender(tmp_path, **settings_of(receivers))
    yield s
    s.stop()


def told(receivers, words, seconds=45, **wanted):
    try:
        wait_for(f"{words} at each receiver",
                 lambda: all(story(r, **wanted) == words for r in receivers), seconds)
    except AssertionError:
        raise AssertionError(f"{words} wanted, got " + str([story(r, **wanted) for r in receivers])) from None


def same_everywhere(receivers, **wanted):
    """Every copy, at every receiver, of the n-th notification has the same ids."""
    ids = [list(dict.fromkeys((n["word"], n["alarm"], n["notice"], int(n["seq"])) for n in r.notices(**wanted)))
           for r in receivers]
    assert all(i == ids[0] for i in ids), ids
    assert len({alarm for _, alarm, _, _ in ids[0]}) == 1, "one alarm, from raise to clear"
    numbers = [seq for _, _, _, seq in ids[0]]
    assert numbers == sorted(numbers)
    return ids[0]


# ---- the receivers are away

def test_what_happened_while_the_receivers_were_away_arrives_in_order(sender, receivers):
    sender.start()
    sender.tell(RULE, "meter", True, "meter keeps dying")
    wait_for("the first tries", lambda: text(sender.log).count("tried again until it is back") == 4, 10)
    sender.tell(RULE, "meter", False, "meter runs again")
    for r in receivers:
        r.start()
    told(receivers, ["raise", "clear"], rule=RULE)
    same_everywhere(receivers, rule=RULE)
    assert {n["type"].split(",")[0] for n in receivers[0].notices()} == {"INFORM"}
    assert {n["type"].split(",")[0] for n in receivers[1].notices()} == {"TRAP2"}


def test_receivers_that_die_between_raise_and_clear_get_both(sender, receivers):
    for r in receivers:
        r.start()
    sender.start()
    sender.tell(RULE, "meter", True)
    told(receivers, ["raise"], rule=RULE)
    for r in receivers:
        r.stop()
    sender.tell(RULE, "meter", False)
    wait_for("the refusals", lambda: text(sender.log).count("tried again until it is back") == 4, 20)
    for r in receivers:
        r.start()
    told(receivers, ["raise", "clear"], rule=RULE)
    same_everywhere(receivers, rule=RULE)


def test_a_sender_that_is_killed_tells_what_it_owes(sender, receivers):
    sender.start()
    sender.tell(RULE, "meter", True)
    wait_for("the first tries", lambda: text(sender.log).count("tried again until it is back") == 4, 10)
    sender.kill()
    for r in receivers:
        r.start()
    sender.start()
    told(receivers, ["raise"], rule=RULE)
    sender.tell(RULE, "meter", False)
    told(receivers, ["raise", "clear"], rule=RULE)
    same_everywhere(receivers, rule=RULE)


def test_a_sender_that_is_killed_at_any_moment_loses_nothing(sender, receivers):
    """Twelve kills among twelve alarms: each is told from raise to clear, in order."""
    for r in receivers:
        r.start()
    for i in range(12):
        sender.start()
        sender.tell(RULE, f"thing{i}", True)
        # What the program has taken over is on its disk before anybody else hears of it.
        wait_for("it to be known", lambda i=i: f"alarm {RULE} thing{i}: raise" in text(sender.log), 10)
        if i % 3:
            sender.tell(RULE, f"thing{i}", False)
            wait_for("its end", lambda i=i: f"alarm {RULE} thing{i}: clear" in text(sender.log), 10)
        time.sleep(0.05 * i)  # another moment each time
        sender.kill()
    sender.start()
    for i in range(0, 12, 3):
        sender.tell(RULE, f"thing{i}", False)
    for i in range(12):
        for r in receivers:
            name = {"object": f"thing{i}"} if isinstance(r, Trapd) else {"resource": f"thing{i}"}
            wait_for(f"thing{i}", lambda r=r, name=name: story(r, **name) == ["raise", "clear"], 45)


# ---- receivers that say nothing

def test_a_noc_that_never_answers_gets_each_notification_once_as_a_trap(tmp_path):
    """A program that takes every datagram and answers none: as a NOC that knows traps only, or a firewall."""
    import socket
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.settimeout(15)
        sender = Sender(tmp_path, **{"snmp.trap": f"127.0.0.1:{deaf.getsockname()[1]}"})
        try:
            sender.start()
            sender.tell(RULE, "meter", True)
            came = []
            while not any(b"\xa7" in c[:40] for c in came):  # SNMPv2-Trap-PDU (RFC 3416)
                came.append(deaf.recv(4096))
            sender.tell(RULE, "meter", False)
            deaf.settimeout(1.2)
            end = time.monotonic() + 6
            while time.monotonic() < end:
                try:
                    came.append(deaf.recv(4096))
                except TimeoutError:
                    pass
        finally:
            sender.stop()
    about = [c for c in came if RULE.encode() in c]
    traps = [c for c in about if b"\xa7" in c[:40]]
    informs = [c for c in about if b"\xa6" in c[:40]]
    assert len(traps) == 2, "raise and clear, once each"
    assert len(informs) >= 2, "asked again, since a receiver that comes back answers"
    assert about.index(traps[0]) >= 1, "an inform was tried first"


@pytest.mark.parametrize("mode", ["trap", "inform", "auto"])
def test_a_noc_whose_machine_was_off_gets_both_when_it_is_on(tmp_path, mode):
    """No machine, no ICMP of its own: the kernel says "no route to host" when ARP has given up."""
    network = Network()
    sender = receiver = None
    try:
        receiver = Trapd(tmp_path)
        receiver.address, receiver.inside = "192.0.2.7", network.inside()
        sender = Sender(tmp_path, **{"snmp.trap": f"192.0.2.7:{receiver.port},{mode}"})
        sender.inside = network.inside()
        sender.start()
        sender.tell(RULE, "meter", True)
        wait_for("the first try", lambda: "tried again until it is back" in text(sender.log), 15)
        if mode == "trap":
            assert "No route to host" in text(sender.log)
        sender.tell(RULE, "meter", False)
        network.ip("address", "add", "192.0.2.7/32", "dev", "far")  # switched on
        receiver.start()
        wait_for("both", lambda: story(receiver, rule=RULE) == ["raise", "clear"], 60)
    finally:
        if sender:
            sender.stop()
        if receiver:
            receiver.stop()
        network.remove()


# ---- SNMPv3

USER = "noc SHA-256 authpassword AES privpassword"


def secure(folder, word, users="noc:SHA-256:authpassword:AES:privpassword", port=None):
    """A sender whose only receiver is spoken to by user noc."""
    return Sender(folder, **{"snmp.trap": f"127.0.0.1:{port}{word},user=noc", "snmp.users": users})


def engine(sender):
    return (sender.state / "spool/snmp/engine").read_text().split()


@pytest.fixture
def trapd3(tmp_path):
    """Started by the test, when the sender's engine is known."""
    made = []

    def make(*users):
        receiver = Trapd(tmp_path, f"v3-{len(made)}", users)
        made.append(receiver)
        return receiver
    yield make
    for r in made:
        r.stop()


def test_v3_traps_are_read_by_those_who_know_our_engine(tmp_path, trapd3):
    """Also after a kill: an engine that starts twice alike is refused by receivers (RFC 3414)."""
    first = trapd3()
    sender = secure(tmp_path, ",trap", port=first.port)
    try:
        sender.start()
        sender.kill()
        name, starts = engine(sender)
        assert starts == "1"
        (first.folder / "trapd.conf").open("a").write(f"createUser -e {name} {USER}\n")
        first.start()
        for i in range(3):
            sender.start()
            sender.tell(RULE, f"thing{i}", True)
            wait_for(f"trap {i}", lambda i=i: story(first, object=f"thing{i}") == ["raise"], 20)
            sender.kill()
            assert engine(sender) == [name, str(i + 2)]
    finally:
        sender.stop()
    kinds = {n["type"] for n in first.notices()}
    assert len(kinds) == 1 and re.match(r"TRAP2, SNMP v3, user noc", kinds.pop())


def test_v3_informs_need_no_engine_of_ours_and_survive_a_new_receiver(tmp_path, trapd3):
    receiver = trapd3(USER)
    sender = secure(tmp_path, ",inform", port=receiver.port)
    try:
        sender.start()
        sender.tell(RULE, "meter", True)
        wait_for("the first try", lambda: "tried again until it is back" in text(sender.log), 10)
        receiver.start()
        wait_for("the raise", lambda: story(receiver, rule=RULE) == ["raise"], 20)
        receiver.stop()
        for kept in receiver.folder.glob("snmptrapd.conf"):
            kept.unlink()  # set up anew: another engine behind the same address
        receiver.start()
        sender.tell(RULE, "meter", False)
        wait_for("the clear", lambda: story(receiver, rule=RULE) == ["raise", "clear"], 30)
    finally:
        sender.stop()
    assert all(re.match(r"INFORM, SNMP v3, user noc", n["type"]) for n in receiver.notices())


def test_v3_with_a_wrong_password_is_told_and_kept(tmp_path, trapd3):
    receiver = trapd3(USER)
    receiver.start()
    sender = secure(tmp_path, ",inform", "noc:SHA-256:anotherpassword:AES:privpassword", receiver.port)
    try:
        sender.start()
        sender.tell(RULE, "meter", True)
        wait_for("the reason", lambda: "another password for this user" in text(sender.log), 20)
        assert story(receiver) == []
        sender.stop()
        sender.settings["snmp.users"] = "noc:SHA-256:authpassword:AES:privpassword"
        sender.start()
        wait_for("the raise", lambda: story(receiver, rule=RULE) == ["raise"], 20)
    finally:
        sender.stop()
    assert "anotherpassword" not in text(sender.log)


@pytest.mark.parametrize("settings, words", [
    ({"snmp.trap": "127.0.0.1:9,user=nobody"}, 'there is no user "nobody" in snmp.users'),
    ({"snmp.users": "noc:MD5:authpassword:AES:privpassword"}, "write SHA-256"),
    ({"snmp.users": "noc:SHA-256:short:AES:privpassword"}, "fewer than 8 characters"),
    ({"snmp.users": "noc:SHA-256:authpassword"}, "write name:SHA-256:password:AES:password"),
    ({"snmp.trap": "noc.example:162"}, "no numeric address"),
    ({"snmp.trap": "127.0.0.1:9,often"}, "write trap, inform, auto or user=NAME"),
    ({"snmp.trap": "127.0.0.1:9 127.0.0.1:9,trap"}, "stands there twice"),
    ({"syslog.target": "smoke:127.0.0.1:9"}, "write udp:address:port"),
    ({"syslog.target": "udp:127.0.0.1:9,name=a"}, "only tls has an option"),
    ({"syslog.target": "tls:127.0.0.1:9", "syslog.tls_ca": "/nowhere"}, "syslog.tls_ca /nowhere"),
    ({"alarm.rules": "meter.gap=loud"}, "write off, critical"),
])
def test_a_wrong_setting_is_one_clear_message(tmp_path, settings, words):
    sender = Sender(tmp_path, **settings)
    flags = [a for k, v in sender.settings.items() for a in ("--set", f"{k}={v}")]
    done = run(BIN / "jeoul-snmp", *flags, check=False)
    assert done.returncode == 2 and words in done.stderr and "authpassword" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error:" in line]) == 1


# ---- syslog by TLS

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls"))


def tls_sender(folder, authority, words, **more):
    return Sender(folder, **{"syslog.target": f"tls:127.0.0.1:{words}", "syslog.tls_ca": authority.folder / "ca.pem",
                             **more})


def test_tls_lines_arrive_also_when_the_receiver_was_away(tmp_path, authority):
    """By name and by address; the receiver dies between raise and clear."""
    receivers = [authority.rsyslogd("by-name"), authority.rsyslogd("by-address")]
    name, address = (r.port for r in receivers)
    sender = tls_sender(tmp_path, authority, f"{name},name=log.example tls:127.0.0.1:{address}")
    try:
        sender.start()
        sender.tell(RULE, "meter", True, "한글 \"a\" [b]")
        wait_for("the first tries", lambda: text(sender.log).count("tried again until it is back") == 2, 10)
        for r in receivers:
            r.start()
        told(receivers, ["raise"], rule=RULE)
        for r in receivers:
            r.stop()
        sender.tell(RULE, "meter", False)
        for r in receivers:
            r.start()
        told(receivers, ["raise", "clear"], rule=RULE)
        assert '\ufeff한글 "a" [b]' in receivers[0].notices(rule=RULE)[0]["line"]
    finally:
        sender.stop()
        for r in receivers:
            r.stop()


def test_tls_tells_nothing_to_a_stranger(tmp_path, authority):
    receiver = authority.rsyslogd("stranger", "stranger")
    sender = tls_sender(tmp_path, authority, f"{receiver.port},name=log.example")
    try:
        receiver.start()
        sender.start()
        sender.tell(RULE, "meter", True)
        wait_for("the reason", lambda: "its certificate is not that of log.example" in text(sender.log), 10)
        assert RULE not in text(receiver.log)
    finally:
        sender.stop()
        receiver.stop()


def test_tls_shows_our_certificate_to_a_receiver_that_asks(tmp_path, authority):
    receiver = authority.rsyslogd("asking", asks="x509/name")
    f = authority.folder
    sender = tls_sender(tmp_path, authority, f"{receiver.port},name=log.example")
    try:
        receiver.start()
        sender.start()
        sender.tell(RULE, "meter", True)
        wait_for("its refusal", lambda: "tried again until it is back" in text(sender.log), 20)
        assert RULE not in text(receiver.log)
        sender.stop()
        sender.settings |= {"syslog.tls_cert": f / "sender.pem", "syslog.tls_key": f / "sender.key"}
        sender.start()
        wait_for("the raise", lambda: story(receiver, rule=RULE) == ["raise"], 40)
    finally:
        sender.stop()
        receiver.stop()


# ---- the MIB

def test_everything_in_a_notification_is_in_the_mib(tmp_path):
    """Names, order and types: what snmptrapd can't resolve stays a number, a wrong type is told."""
    mib = (TOP / "snmp/mib/JEOUL-MIB.txt").read_text()
    objects = {name: re.findall(r"\w+", listed) for name, listed in
               re.findall(r"(\w+) NOTIFICATION-TYPE\s+OBJECTS \{(.*?)\}", mib, re.S)}
    assert set(objects) == {"jeoulAlarmRaise", "jeoulAlarmChange", "jeoulAlarmClear"}
    receiver = MibTrapd(tmp_path)
    free = shutil.disk_usage("/tmp").free
    sender = Sender(tmp_path, **{"snmp.trap": f"127.0.0.1:{receiver.port}", "alarm.disk_free": f"{free * 2}B"})
    try:
        receiver.start()
        sender.start()
        sender.tell(RULE, "meter", True, "한글 " + "x" * 600)  # longer than any object may be
        sender.tell(RULE, "meter", False)
        sender.tell("vm.monitor.blocked", "v" * 200, True)
        wait_for("all of them", lambda: len(lines_of(receiver)) >= 5, 20)  # database.down and disk.full too
    finally:
        sender.stop()
        receiver.stop()
    seen = set()
    for line in lines_of(receiver):
        name = re.search(r"snmpTrapOID\.0 = OID: JEOUL-MIB::(\w+)", line)[1]
        seen.add(name)
        binds = line.split("|")[1:]
        assert [b.split(" = ")[0] for b in binds] == (
            ["SNMPv2-MIB::sysUpTime.0", "SNMPv2-MIB::snmpTrapOID.0"] +
            [f"JEOUL-MIB::{o}.0" for o in objects[name]]), "the MIB's objects, in its order"
        assert "Wrong Type" not in line and "iso." not in line and ".1.3.6" not in line
        values = dict(b.split(" = ", 1) for b in binds)
        assert re.fullmatch(r"INTEGER: (cleared|critical|major|minor|warning|indeterminate)\(\d\)",
                            values["JEOUL-MIB::jeoulNoticeSeverity.0"])
        assert re.match(r"STRING: \d{4}-\d+-\d+,\d+:\d+:\d+\.\d,\+0:0$", values["JEOUL-MIB::jeoulNoticeTime.0"])
        for bind, value in values.items():
            limit = 480 if "Text" in bind else 255
            assert len(value.removeprefix("STRING: ").strip('"').encode()) <= limit, bind
    assert {"jeoulAlarmRaise", "jeoulAlarmClear"} <= seen
    long = next(line for line in lines_of(receiver) if "한글" in line)
    assert "\ufffd" not in long, "cut between characters"


def lines_of(receiver):
    return [line for line in text(receiver.log).splitlines() if "snmpTrapOID" in line]


# ---- the whole of Jeoul

@pytest.fixture(scope="module")
def noc(tmp_path_factory):
    """All receivers and a Jeoul with a host that may fall silent."""
    folder = tmp_path_factory.mktemp("noc")
    receivers = [Trapd(folder, "auto"), Trapd(folder, "trap"), Rsyslogd(folder, "udp"),
                 Rsyslogd(folder, "tcp", "tcp")]
    s = Stack(**settings_of(receivers), **{"alarm.host_after": "2s", "meter.step": "1s", "meter.deadline": "2s",
                                           "database.timeout": "3s"})
    s.receivers = receivers
    try:
        for r in receivers:
            r.start()
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        wait_for("the host", lambda: s.sql("select count(*) from host_contact where last_ok is not null")[0][0])
        yield s
    finally:
        s.remove()
        for r in receivers:
            r.stop()


def test_a_host_falls_silent_and_answers_again(noc):
    rule = "host.unreachable"
    with stopped(noc.child("libvirtd")["pid"]):
        told(noc.receivers, ["raise"], rule=rule)
        wait_for("the API to list it", lambda: any(a["rule"] == rule for a in noc.jeoul("alarm", "list")), 5)
    told(noc.receivers, ["raise", "clear"], rule=rule)
    same_everywhere(noc.receivers, rule=rule)
    raised, cleared = noc.receivers[2].notices(rule=rule)
    assert raised["priority"] == 16 * 8 + 2, "local0, and RFC 5674's number for major"
    assert cleared["perceivedSeverity"] == "cleared" and "answers again" in cleared["line"]
    trap = noc.receivers[1].notices(rule=rule)[0]
    assert trap["severity"] == "4" and "unreachable since" in trap["text"]
    wait_for("all of it in the tables", lambda: noc.sql(
        "select count(*), count(*) filter (where state = 'waiting') from delivery d join notification n using (seq)"
        " join alarm a on a.id = n.alarm_id where a.rule = %s", rule)[0] == (8, 0), 15)
    counts = noc.sql("select kind, count(*) from notification n join alarm a on a.id = n.alarm_id"
                     " where a.rule = %s group by 1", rule)
    assert dict(counts) == {"raise": 1, "clear": 1}, "no second alarm for the same trouble"
    states = dict(noc.sql("select receiver, string_agg(distinct state, ',') from delivery d"
        " join notification n using (seq) join alarm a on a.id = n.alarm_id where a.rule = %s group by 1", rule))
    assert states[f"trap:127.0.0.1:{noc.receivers[0].port}"] == "confirmed", "informs are answered"
    assert {s for r, s in states.items() if not r.endswith(str(noc.receivers[0].port))} == {"told"}


def test_a_database_that_hangs_is_told_past_it(noc):
    with stopped(noc.child("postgres")["pid"]):
        told(noc.receivers, ["raise"], 60, rule="database.down")
    told(noc.receivers, ["raise", "clear"], 60, rule="database.down")
    same_everywhere(noc.receivers, rule="database.down")
    wait_for("its row", lambda: noc.sql("select count(*) from alarm where rule = 'database.down'"
                                        " and cleared_at is not null")[0][0] == 1, 30)


def test_everything_was_away_and_both_arrive(noc):
    """Receivers down, the role killed, PostgreSQL hung, all between raise and clear of one alarm."""
    rule = "host.unreachable"
    before = len(story(noc.receivers[0], rule=rule))
    for r in noc.receivers:
        r.stop()
    with stopped(noc.child("libvirtd")["pid"]):
        wait_for("the raise", lambda: noc.sql("select count(*) from alarm where rule = %s and cleared_at is null",
                                              rule)[0][0], 40)
        os.kill(noc.child("snmp")["pid"], signal.SIGKILL)
        with stopped(noc.child("postgres")["pid"]):
            wait_for("the hung database to be missed",
                     lambda: "active" in noc.child("snmp")["status"] and noc.child("snmp")["restarts"] > 0, 40)
            os.kill(noc.child("snmp")["pid"], signal.SIGKILL)
    wait_for("the clear", lambda: noc.sql("select count(*) from alarm where rule = %s and cleared_at is null",
                                          rule)[0][0] == 0, 60)
    for r in noc.receivers:
        r.start()
    for r in noc.receivers:
        wait_for("both", lambda r=r: story(r, rule=rule)[before:] == ["raise", "clear"], 60)
    for r in noc.receivers:
        ids = [n["alarm"] for n in r.notices(rule=rule)]
        assert len(set(ids[before:])) == 1
