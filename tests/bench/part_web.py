# SPDX-License-Identifier: Apache-2.0
"""bench-web: requests a second of real calls, beside libmicrohttpd saying hello with the same threads."""
import base64
import datetime
import re
import statistics
import subprocess

import house
import measure
import usage
from measure import BUILD, Turn, figure, note, ratio

VMS = 10
CONNECTIONS = 8
TURNS, SECONDS = 3, 2


class Target:
    """An address that wrk asks, and the processes whose CPU time that costs."""

    def __init__(self, name, url, pid, servers=(), header=None):
        self.name, self.url, self.pid, self.servers, self.header = name, url, pid, servers, header
        self.turns, self.rates, self.p99 = [], [], []

    def turn(self):
        argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency"]
        argv += ["-H", self.header] if self.header else []
        own, beside = measure.cpu_ns(self.pid), house.cpu_sum(self.servers)
        said = subprocess.run(argv + [self.url], text=True, capture_output=True, check=True, timeout=60).stdout
        own, beside = measure.cpu_ns(self.pid) - own, house.cpu_sum(self.servers) - beside
        if "Non-2xx" in said or "Socket errors" in said:
            measure.fail(f"{self.url}: {said}")
        requests = int(re.search(r"(\d+) requests in", said)[1])
        self.turns.append(Turn(requests, own, beside))
        self.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]))
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said).groups()
        self.p99.append(float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def tell(target):
    figure(f"web.{target.name}.rate", statistics.median(target.rates), "requests/s")
    figure(f"web.{target.name}.p99", statistics.median(target.p99), "ms")
    figure(f"web.{target.name}.cpu", measure.median(target.turns, "own") / 1000, "us/request")
    if target.servers:
        figure(f"web.{target.name}.postgres_cpu", measure.median(target.turns, "beside") / 1000, "us/request")


def authorisation(stack):
    """The admin's key, as the command line reads it."""
    key = dict(line.split("=", 1) for line in (stack.state / "admin.key").read_text().split())
    pair = f"{key['apikey']}:{key['secretkey']}".encode()
    return "Authorization: Basic " + base64.b64encode(pair).decode()


def main():
    if not measure.installed("wrk"):
        measure.skipped("web", "wrk is not installed")
        return
    stack = house.Stack("none")
    port = house.free_port()
    bare = subprocess.Popen([BUILD / "bench/floor_http", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        bare.stdout.readline()
        stack.start()
        house.run(house.BIN / "jeoul-first-admin", env=stack.env)
        usage.tariff(stack, "flat", measure.TOP / "billing/presets/small-hoster.json")
        now = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
        usage.fill(stack, VMS, VMS, now - datetime.timedelta(days=7), now, "flat")
        note(f"{CONNECTIONS} connections, one thread of wrk; an account of {VMS} VMs with a week of usage")
        compare(stack, bare.pid, port)
    finally:
        bare.kill()
        bare.wait()
        stack.remove()


def compare(stack, bare_pid, port):
    pid, header = house.children(stack)["web"], authorisation(stack)
    of = "account=bench1&domainid=" + str(stack.sql("select uuid from domain where path = 'ROOT'")[0][0])
    calls = {"list": "/v1/zones", "vms": f"/v1/virtual-machines?{of}", "preview": f"/v1/bill-preview?{of}"}
    for path in calls.values():  # the connections to PostgreSQL are made by the first calls
        subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "-H", header, stack.url + path],
                       check=True, capture_output=True, timeout=60)
    servers = usage.servers(stack, "jeoul_web")
    targets = [Target("hello", f"http://127.0.0.1:{port}/", bare_pid),
               Target("page", stack.url + "/login", pid)]
    targets += [Target(name, stack.url + path, pid, servers, header) for name, path in calls.items()]
    with house.quiet(stack, "provision", "meter", "billing"):
        for _ in range(TURNS):
            for t in targets:
                t.turn()
    for t in targets:
        tell(t)
    figure("web.page.vs_bare_http", ratio(targets[1], targets[0], "own"), "ratio")
    figure("web.list.vs_bare_http", ratio(targets[2], targets[0], "own"), "ratio")
