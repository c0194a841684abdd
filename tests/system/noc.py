"""A NOC of its own: a real snmptrapd and a real rsyslogd that can be stopped and started."""
import os
import pathlib
import re
import socket
import subprocess

from conftest import BIN, TOP, free_port, run, wait_for

FIXTURES = TOP / "tests/fixtures/mib"
ROOT = ".1.3.6.1.4.1.8072.9999.9999.7531"
COLUMNS = {1: "seq", 2: "alarm", 3: "severity", 4: "kind", 5: "uuid", 6: "object", 7: "rule", 8: "text",
           9: "time", 10: "notice", 11: "times"}
WORDS = {1: "raise", 2: "change", 3: "clear"}


def text(path):
    return path.read_text(errors="replace") if path.exists() else ""


class Network:
    """A network of its own (a namespace), where a host that is switched off can be had."""

    def __init__(self):
        self.name = f"jeoul-noc-{os.getpid()}"
        run("ip", "netns", "add", self.name)
        self.ip("link", "add", "near", "type", "veth", "peer", "name", "far")
        for link in ("lo", "near", "far"):
            self.ip("link", "set", link, "up")
        self.ip("address", "add", "192.0.2.1/24", "dev", "near")

    def ip(self, *words):
        run("ip", "-n", self.name, *words)

    def inside(self):
        return ["ip", "netns", "exec", self.name]

    def remove(self):
        run("ip", "netns", "delete", self.name)


class Receiver:
    """One receiving program; what it wrote stays when it is stopped."""
    address, inside = "127.0.0.1", []

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder) / name
        self.folder.mkdir()
        self.port = free_port()
        self.process = None
        self.log = self.folder / "received.log"

    def start(self):
        assert self.process is None
        self.process = subprocess.Popen(self.inside + [str(a) for a in self.command()], stdin=subprocess.DEVNULL,
                                        env=os.environ | {"SNMP_PERSISTENT_DIR": str(self.folder), "MIBS": ""})
        wait_for(f"{self.command()[0]} at its port", self.listening, 10)

    def listening(self):
        if self.process.poll() is not None:  # the port may have been taken: say so at once
            raise AssertionError(f"{self.command()}: ended with {self.process.returncode}")
        mine = f":{self.port:04X}"
        rows = [line.split() for p in ("udp", "tcp")
                for line in text(pathlib.Path(f"/proc/{self.process.pid}/net/{p}")).splitlines()]
        return any(row[1].endswith(mine) and row[2].endswith(":0000") for row in rows)  # its own end, nobody's peer

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.process = None


class Trapd(Receiver):
    reads = ["-On", "-m", ""]

    def __init__(self, folder, name="trapd", users=()):
        super().__init__(folder, name)
        lines = ["disableAuthorization yes", "format2 %V|%P|%v\\n"] + [f"createUser {u}" for u in users]
        (self.folder / "trapd.conf").write_text("\n".join(lines) + "\n")

    def command(self):
        return ["snmptrapd", "-f", "-C", "-c", self.folder / "trapd.conf", "-A", "-Lf", self.log,
                *self.reads, f"udp:{self.address}:{self.port}"]

    def notices(self, **wanted):
        """What came, in the order in which it came."""
        found = []
        for line in text(self.log).splitlines():
            trap = re.search(r"\.1\.3\.6\.1\.6\.3\.1\.1\.4\.1\.0 = OID: (\S+?)\.0\.(\d+)(?:\||$)", line)
            if not trap:
                continue
            notice = {"type": line.split("|")[0], "word": WORDS[int(trap[2])]}
            for column, value in re.findall(re.escape(trap[1]) + r"\.1\.5\.3\.(\d+)\.0 = [\w-]+: (.*?)(?=\||$)", line):
                notice[COLUMNS[int(column)]] = value.strip('"')
            if all(notice.get(k) == v for k, v in wanted.items()):
                found.append(notice)
        return found


class MibTrapd(Trapd):
    """Reads what comes through the MIB files, as a NOC does."""
    reads = ["-M", f"{FIXTURES}:{TOP / 'snmp/mib'}", "-m", "ALL"]


class Rsyslogd(Receiver):
    def __init__(self, folder, name="rsyslogd", kind="udp", module="", before=""):
        super().__init__(folder, name)
        (self.folder / "rsyslog.conf").write_text(
            before +
            f'module(load="im{kind}"{module})\ninput(type="im{kind}" address="127.0.0.1" port="{self.port}")\n'
            'template(name="raw" type="string" string="%rawmsg%\\n")\n'
            f'*.* action(type="omfile" file="{self.log}" template="raw")\n')

    def command(self):
        return ["rsyslogd", "-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "rsyslog.pid"]

    def notices(self, **wanted):
        found = []
        for line in text(self.log).splitlines():
            word = re.match(r"<(\d+)>1 (\S+) \S+ jeoul-snmp \d+ ALARM\.([A-Z]+) ", line)
            if not word:
                continue
            notice = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', line))
            notice |= {"word": word[3].lower(), "priority": int(word[1]), "alarm": notice.get("id"), "line": line}
            if all(notice.get(k) == v for k, v in wanted.items()):
                found.append(notice)
        return found


class Authority:
    """Certificates of its own: an authority, a receiver's for a name and an address, and ours."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "certificates"
        self.folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test authority", "-days", "2",
                     "-keyout", self.folder / "ca.key", "-out", self.folder / "ca.pem")
        self.issue("receiver", "DNS:log.example,IP:127.0.0.1")
        self.issue("stranger", "DNS:elsewhere.example")
        self.issue("sender", "DNS:jeoul.example")

    def openssl(self, *words):
        run("openssl", *words)

    def issue(self, name, names):
        f = self.folder
        (f / "names").write_text(f"subjectAltName={names}\n")
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f / f"{name}.key",
                     "-out", f / "request")
        self.openssl("x509", "-req", "-in", f / "request", "-CA", f / "ca.pem", "-CAkey", f / "ca.key", "-days", "2",
                     "-CAcreateserial", "-extfile", f / "names", "-out", f / f"{name}.pem")

    def rsyslogd(self, name, who="receiver", asks="anon"):
        """An rsyslogd by TLS; asks x509/name: only a sender whose certificate is jeoul.example's."""
        f = self.folder
        return Rsyslogd(f.parent, name, "tcp",
                        f' StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="{asks}"'
                        + (' PermittedPeer=["jeoul.example"]' if asks != "anon" else ""),
                        f'global(DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{f}/ca.pem"'
                        f' DefaultNetstreamDriverCertFile="{f}/{who}.pem" DefaultNetstreamDriverKeyFile="{f}/{who}.key")\n')


def story(receiver, **wanted):
    """The words that came, each notification once (the first time), in order: what a NOC that dedupes sees."""
    seen, words = set(), []
    for n in receiver.notices(**wanted):
        if n["notice"] not in seen:
            seen.add(n["notice"])
            words.append(n["word"])
    return words


class Sender:
    """jeoul-snmp alone, on the two file descriptors that jeould would give it; no database unless named."""

    def __init__(self, folder, **settings):
        self.state = pathlib.Path(folder) / "state"
        (self.state / "spool/snmp").mkdir(parents=True)
        self.settings = {"state": self.state, "database.url": "postgresql://127.0.0.1:1/none",
                         "alarm.disk_free": "0B", **settings}
        self.process = self.link = None
        self.log = pathlib.Path(folder) / "sender.log"
        self.inside = []

    def start(self):
        assert self.process is None
        mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        text = "".join(f"{k}={v}\n" for k, v in self.settings.items()).encode()
        conf = os.memfd_create("settings")
        os.write(conf, text)
        os.lseek(conf, 0, os.SEEK_SET)
        log = open(self.log, "ab")

        def place():  # fd 3: the parent, fd 4: the settings
            os.dup2(its.fileno(), 30)
            os.dup2(conf, 31)
            os.dup2(30, 3)
            os.dup2(31, 4)
        self.process = subprocess.Popen(self.inside + [BIN / "jeoul-snmp"], env={"JEOUL_CONF_FD": "4", "PATH": os.environ["PATH"]}, preexec_fn=place,
                                        pass_fds=(3, 4), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        for fd in (log, its):
            fd.close()
        os.close(conf)
        self.link = mine
        self.link.settimeout(20)
        while self.link.recv(4096) != b"ready":
            pass
        self.link.settimeout(0)

    def tell(self, rule, thing, raised, words="because"):
        self.link.setblocking(True)
        self.link.send(f"alert {rule}\t{thing}\t{int(raised)}\t{words}".encode())

    def status(self):
        """The last status that it told its parent; asks until a fresh one is there."""
        self.link.settimeout(5)
        message = b""
        while not message.startswith(b"status "):
            message = self.link.recv(4096)
        return message.decode()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.link.close()
        self.process = None

    def stop(self):
        if self.process is None:
            return
        self.process.terminate()
        assert self.process.wait(timeout=10) == 0, text(self.log)
        self.link.close()
        self.process = None
