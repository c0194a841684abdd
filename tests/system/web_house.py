# SPDX-License-Identifier: Apache-2.0
"""A house for the tests of web: a PostgreSQL of its own, jeoul-web, and roles on demand.

Everything is real: the programs of the build, migrations, row-level security.  Used by
test_web.py and test_pages.py.
"""
import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

import psycopg2

from conftest import free_port

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
BIN = (BUILD if BUILD.is_absolute() else TOP / BUILD) / "bin"
PG = pathlib.Path("/usr/lib/postgresql/15/bin")


def until(what, wanted, deadline=60.0):
    """Polls until wanted() is true; fails with what it waited for."""
    end = time.monotonic() + deadline
    while True:
        got = wanted()
        if got:
            return got
        assert time.monotonic() < end, f"not within {deadline} s: {what}"
        time.sleep(0.05)


def plain_user():
    """PostgreSQL refuses root; any other user will do."""
    if os.geteuid() != 0:
        return []
    for name in ("jeoul-db", "nobody"):
        try:
            user = pwd.getpwnam(name)
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"], user
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")


class House:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jeoul-web-"))
        self.folder.chmod(0o755)
        self.state = self.folder / "state"
        for part in ("", "pg", "rrd", "images", "console", "log", "spool", "spool/meter", "spool/snmp"):
            (self.state / part).mkdir(exist_ok=True)
        self.port = free_port()
        self.children = {}
        self.database_make()
        self.run_tool("jeoul-migrate")
        self.web_start()
        first = self.run_tool("jeoul-first-admin").stdout
        self.one_time = first.split("one-time password ")[1].split()[0]
        self.admin = Client(self, *self.admin_key())

    # ---- database

    def as_plain(self, *argv, **kw):
        prefix = plain_user()[0] if os.geteuid() == 0 else []
        return subprocess.run([*prefix, *map(str, argv)], check=True, capture_output=True, text=True,
                              timeout=60, cwd="/", **kw)

    def database_make(self):
        self.data = self.folder / "data"
        self.data.mkdir()
        if os.geteuid() == 0:
            user = plain_user()[1]
            for path in (self.data, self.state / "pg"):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.as_plain(PG / "initdb", "-D", self.data, "-U", "jeoul_owner", "-A", "trust", "-E", "UTF8",
                      "--locale=C.UTF-8", "--no-sync")
        self.database_start()
        with self.connect("jeoul_owner", "postgres") as db:
            db.cursor().execute("create database jeoul")

    def database_start(self):
        self.as_plain(PG / "pg_ctl", "-D", self.data, "-s", "-w", "-l", self.state / "pg" / "log", "-o",
                      f"-c listen_addresses= -k {self.state / 'pg'} -c fsync=off", "start")

    def database_stop(self):
        self.as_plain(PG / "pg_ctl", "-D", self.data, "-s", "-w", "-m", "immediate", "stop")

    def connect(self, role="jeoul_owner", database="jeoul"):
        db = psycopg2.connect(host=str(self.state / "pg"), user=role, dbname=database,
                              options="-c search_path=jeoul,public -c TimeZone=UTC")
        db.autocommit = True
        return Closing(db)

    def sql(self, text, *values, role="jeoul_owner"):
        with self.connect(role) as db:
            cursor = db.cursor()
            cursor.execute(text, values or None)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    # ---- programs

    def settings(self, **more):
        values = {"state": self.state, "web.listen": f"127.0.0.1:{self.port}", "log.level": "info",
                  "database.timeout": "10s", **more}
        return [word for key, value in values.items() for word in ("--set", f"{key}={value}")]

    def run_tool(self, name, *words):
        return subprocess.run([BIN / name, *self.settings(), *words], check=True, capture_output=True, text=True,
                              timeout=60, cwd=TOP)

    def start(self, name, **settings):
        log = open(self.folder / f"{name}.log", "ab")
        self.children[name] = subprocess.Popen([BIN / name, *self.settings(**settings)], stdout=log, stderr=log, cwd=TOP)
        until(f"{name} is ready", lambda: b"ready" in (self.folder / f"{name}.log").read_bytes())

    def stop(self, name):
        child = self.children.pop(name)
        child.send_signal(signal.SIGTERM)
        return child.wait(timeout=10)

    def web_start(self, **settings):
        self.start("jeoul-web", **settings)
        until("the port answers", self.answers)

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def admin_key(self):
        key = dict(line.split("=", 1) for line in (self.state / "admin.key").read_text().split())
        return key["apikey"], key["secretkey"]

    def close(self):
        for child in self.children.values():
            child.kill()
            child.wait()
        try:
            self.database_stop()
        except subprocess.CalledProcessError:
            pass  # a test stopped it and failed
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- what tests need again and again

    def tenant(self, name, **more):
        """An account with its first user; answers a client with that user's keys."""
        self.admin.rest("POST", "accounts", {"username": name, "password": f"{name}-password", "account": name, **more},
                        expect=201)
        user = self.admin.rest("GET", f"users?username={name}")["user"][0]
        keys = self.admin.rest("POST", f"users/{user['id']}/keys", {}, expect=201)
        client = Client(self, keys["apikey"], keys["secretkey"])
        client.user, client.account = user["id"], user["accountid"]
        return client

    def graph_days(self, vm, days):
        """A graph of so many days of five minutes, each with the same slope: to forecast from."""
        path = self.state / "rrd/v2/vm" / vm[:2] / f"{vm}.rrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        last = int(time.time()) // 300 * 300
        first = last - int(days * 86400)
        sources = [f"DS:{name}:900:0:U" for name in ("up:GAUGE", "cpu_ns:DERIVE", "mem:GAUGE", "rx:DERIVE", "tx:DERIVE")]
        subprocess.run(["rrdtool", "create", str(path), "--step", "300", "--start", str(first - 300), *sources,
                        "RRA:AVERAGE:0.5:1:2016", "RRA:AVERAGE:0.5:12:2208"], check=True, timeout=20)
        cpu, values = 0, []
        for t in range(first, last + 1, 300):
            # 10 % at noon, 46 % at midnight, UTC, and up to 3 % of noise
            cpu += 300 * 10_000_000 * (10 + abs(t % 86400 - 43200) // 1200 + t // 300 * 7919 % 7 - 3)
            values.append(f"{t}:1:{cpu}:100:{t * 1000}:{t * 2000}")
        for i in range(0, len(values), 500):
            subprocess.run(["rrdtool", "update", str(path), *values[i:i + 500]], check=True, timeout=20)

    def graph_make(self, vm, samples=9):
        """A graph as the meter writes it: half a core, 100 B/s in, 200 B/s out, the last samples * 10 s."""
        path = self.state / "rrd/v2/vm" / vm[:2] / f"{vm}.rrd"
        path.parent.mkdir(parents=True, exist_ok=True)
        first = int(time.time()) // 10 * 10 - samples * 10
        sources = [f"DS:{name}:30:0:U" for name in ("up:GAUGE", "cpu_ns:DERIVE", "mem:GAUGE", "rx:DERIVE", "tx:DERIVE")]
        subprocess.run(["rrdtool", "create", str(path), "--step", "10", "--start", str(first - 10), *sources,
                        "RRA:AVERAGE:0.5:1:361", "RRA:AVERAGE:0.5:6:1440"], check=True, timeout=20)
        values = [f"{first + i * 10}:1:{i * 5_000_000_000}:100:{i * 1000}:{i * 2000}" for i in range(samples)]
        subprocess.run(["rrdtool", "update", str(path), *values], check=True, timeout=20)


class Closing:
    """with closes the connection, as psycopg2's own does not."""

    def __init__(self, db):
        self.db = db

    def __enter__(self):
        return self.db

    def __exit__(self, *_):
        self.db.close()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.raw = response.read()

    @property
    def text(self):
        return self.raw.decode()

    @property
    def json(self):
        return json.loads(self.raw)


class Client:
    """Calls both faces with an API key."""

    def __init__(self, house, apikey=None, secret=None):
        self.house, self.apikey, self.secret = house, apikey, secret

    def http(self, method, target, body=None, headers=None, timeout=30):
        connection = http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=timeout)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def headers(self):
        if not self.apikey:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.apikey}:{self.secret}".encode()).decode()}

    def rest(self, method, path, body=None, expect=200, headers=None):
        headers = self.headers() | dict(headers or {})
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        answer = self.http(method, f"/v1/{path}", body, headers)
        assert answer.status == expect, f"{method} {path}: {answer.status} {answer.text}"
        return answer.json if answer.raw else None

    def signed(self, command, parameters, safe="*"):
        p = {"command": command, "apiKey": self.apikey, "response": "json", **parameters}
        text = "&".join(f"{k}={urllib.parse.quote(str(v), safe=safe)}" for k, v in sorted(p.items())).lower()
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).digest()
        p["signature"] = base64.b64encode(digest).decode()
        return p

    def cs(self, command, expect=200, method="GET", safe="*", **parameters):
        """CloudStack's face; answers what is inside the envelope."""
        query = urllib.parse.urlencode(self.signed(command, parameters, safe))
        if method == "GET":
            answer = self.http("GET", f"/client/api?{query}")
        else:
            answer = self.http("POST", "/client/api", query, {"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status == expect, f"{command}: {answer.status} {answer.text}"
        if not answer.headers["Content-Type"].startswith("application/json"):
            return answer.text
        document = answer.json
        assert len(document) == 1, document
        return next(iter(document.values()))
