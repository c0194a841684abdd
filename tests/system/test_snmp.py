"""One alarm, host unreachable: a v2c trap at a real snmptrapd, an RFC 5424 line at a real rsyslogd."""
import os
import re
import signal
import subprocess

import pytest

from conftest import BIN, Stack, free_port, run, wait_for


@pytest.fixture(scope="module")
def noc(tmp_path_factory):
    """snmptrapd and rsyslogd on ports of their own, and a Jeoul with a host that may fall silent."""
    folder = tmp_path_factory.mktemp("noc")
    trap, syslog = free_port(), free_port()
    (folder / "trapd.conf").write_text("disableAuthorization yes\n")
    (folder / "rsyslog.conf").write_text(
        f'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{syslog}")\n'
        f'template(name="raw" type="string" string="%rawmsg%\\n")\n'
        f'*.* action(type="omfile" file="{folder}/syslog.log" template="raw")\n')
    receivers = [
        subprocess.Popen(["snmptrapd", "-f", "-C", "-c", folder / "trapd.conf", "-Lf", folder / "traps.log",
                          "-On", "-m", "", f"udp:127.0.0.1:{trap}"],
                         env=os.environ | {"SNMP_PERSISTENT_DIR": str(folder), "MIBS": ""}),
        subprocess.Popen(["rsyslogd", "-n", "-f", folder / "rsyslog.conf", "-i", folder / "rsyslog.pid"])]
    s = Stack(**{"snmp.trap": f"127.0.0.1:{trap}", "syslog.target": f"udp:127.0.0.1:{syslog}",
                 "alarm.host_after": "2s", "meter.step": "1s", "meter.deadline": "2s",
                 "database.timeout": "3s"})
    s.folder = folder
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        wait_for("the host", lambda: s.sql("select count(*) from host_contact where last_ok is not null")[0][0])
        yield s
    finally:
        s.remove()
        for r in receivers:
            r.kill()
            r.wait()


def text(path):
    return path.read_text(errors="replace") if path.exists() else ""


def test_raise_and_clear_arrive(noc):
    root = "1.3.6.1.4.1.8072.9999.9999.7531"
    libvirtd = noc.child("libvirtd")["pid"]
    os.kill(libvirtd, signal.SIGSTOP)
    try:
        wait_for("the raise", lambda: f".{root}.0.1" in text(noc.folder / "traps.log"), 40)
        wait_for("its line", lambda: "ALARM.RAISE" in text(noc.folder / "syslog.log"), 10)
        assert [a for a in noc.jeoul("alarm", "list")], "listed by the API"
    finally:
        os.kill(libvirtd, signal.SIGCONT)
    wait_for("the clear", lambda: f".{root}.0.3" in text(noc.folder / "traps.log"), 40)
    line = wait_for("its line", lambda: re.search(r"<\d+>1 .*ALARM\.CLEAR.*", text(noc.folder / "syslog.log")), 10)[0]
    assert 'perceivedSeverity="cleared"' in line and "[alarm " in line and "answers again" in line
    raised = re.search(r"<(\d+)>1 \S+Z \S+ jeoul-snmp \d+ ALARM\.RAISE \[alarm .*", text(noc.folder / "syslog.log"))
    assert raised and int(raised[1]) == 16 * 8 + 2, "local0, and RFC 5674's number for major"
    trap = text(noc.folder / "traps.log")
    assert f".{root}.1.5.3.3.0 = INTEGER: 4" in trap and "unreachable since" in trap
    counts = noc.sql("select kind, count(*) from notification n join alarm a on a.id = n.alarm_id"
                     " where a.rule = 'host.unreachable' group by 1")
    assert dict(counts) == {"raise": 1, "clear": 1}, "no second alarm for the same trouble"
    assert noc.sql("select count(*) from delivery where sent_at is null")[0][0] == 0


def test_database_away_is_told_past_the_database(noc):
    server = noc.child("postgres")["pid"]
    backends = subprocess.run(["pgrep", "-P", str(server)], text=True, capture_output=True).stdout.split()
    for pid in [server, *map(int, backends)]:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for("the alarm", lambda: "database.down" in text(noc.folder / "syslog.log"), 60)
    finally:
        for pid in [server, *map(int, backends)]:
            os.kill(pid, signal.SIGCONT)
    wait_for("its end", lambda: re.search(r"ALARM\.CLEAR.*database", text(noc.folder / "syslog.log")), 60)
    wait_for("its row", lambda: noc.sql("select count(*) from alarm where rule = 'database.down'"
                                        " and cleared_at is not null")[0][0] >= 1, 30)
