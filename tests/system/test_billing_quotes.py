# SPDX-License-Identifier: Apache-2.0
"""Estimates that bills keep, budgets that tell in time, and who may see whose."""
import json
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing_front import Front
from billing_house import GIB, UTC, Site, db, local_unit, one, rate, rows, rounded, state  # noqa: F401
from test_billing_focus import tariff
from web_house import until

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)


def month_after(zone):
    return local_unit(zone, "month", local_unit(zone, "month", NOW + HOUR)[1])


# A price of every kind, a change of price in the next month, a size that has a price of its own.
EVERYTHING = tariff([
    {"sku": "vm.running", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "0.011"}},
    {"sku": "vm.running", "match": {"offering": "small"}, "per": "month", "granularity": "day", "group_by": "resource",
     "model": {"type": "unit", "price": "9.30", "minimum": "5"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "graduated", "free_units": "100", "tiers": [
        {"up_to": "300", "price": "0.05", "flat": "1"}, {"up_to": None, "price": "0.03", "flat": "2"}]}},
    {"sku": "memory.gib", "per": "hour", "tax_class": "reduced", "model": {
        "type": "tou", "price": "0.007", "default_name": "day",
        "bands": [{"name": "night", "from": "22:00", "to": "06:00", "price": "0.002"}]}},
    {"sku": "volume.gib", "per": "month", "versions": [
        {"to": (month_after("Europe/Berlin")[0] + timedelta(days=10)).isoformat().replace("+00:00", "Z"), "model": {"type": "unit", "price": "0.09"}},
        {"from": (month_after("Europe/Berlin")[0] + timedelta(days=10)).isoformat().replace("+00:00", "Z"), "model": {
            "type": "volume", "tiers": [{"up_to": "60", "price": "0.08"}, {"up_to": None, "price": "0.05"}]}}]},
    {"sku": "address", "per": "month", "group_by": "resource", "model": {"type": "unit", "price": "2.5"}},
    {"sku": "net.rx.bytes", "divisor": "1000000000", "model": {"type": "package", "size": "50", "price": "1.5", "free_units": "20"}},
    {"sku": "net.tx.bytes", "divisor": "1000000000", "model": {"type": "commit", "units": "100", "price": "0.01", "overage": "0.02"}},
    {"sku": "host.socket", "per": "year", "group_by": "resource", "model": {"type": "unit", "price": "765"}},
], timezone="Europe/Berlin", tax={"mode": "exclusive", "classes": {"standard": "0.19", "reduced": "0.07"}})
# In won, by another calendar, and addresses were forgotten.
WON = tariff([
    {"sku": "vcpu", "per": "hour", "model": {"type": "volume", "tiers": [{"up_to": "500", "price": "0.02"}, {"up_to": None, "price": "0.015"}]}},
    {"sku": "memory.gib", "per": "day", "model": {"type": "unit", "price": "0.11", "minimum": "30"}},
    {"sku": "cpu.time", "divisor": "3600", "model": {"type": "unit", "price": "0.3"}},
], timezone="Asia/Seoul", fx={"to": "KRW", "rate": "1387.25"}, tax={"mode": "exclusive", "classes": {"standard": "0.10"}, "rounding": "down"})
# What budgets are made for.
FLAT = tariff([
    {"sku": "vm.running", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "0.30"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "graduated", "tiers": [{"up_to": "100", "price": "0.10"}, {"up_to": None, "price": "0.07"}]}},
    {"sku": "net.tx.bytes", "divisor": "1000000000", "model": {"type": "unit", "price": "0.5"}},
])
ZONES = {"every": "Europe/Berlin", "won": "Asia/Seoul"}


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 99, now=NOW, created=NOW - timedelta(days=3))
    s.names, s.vms = {}, {}
    for kind, document in (("every", EVERYTHING), ("won", WON)):
        for twin in ("with", "without"):
            s.names[f"{kind}-{twin}"] = account = s.account(f"{kind}-{twin}", ZONES[kind], document)
            s.lifetime(account, 100 + len(s.names), s.uuid(), "old", "running", NOW - timedelta(days=2), None, vcpus=3, memory_bytes=5 * GIB)
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    rows(db, "insert into offering (name, vcpus, memory_bytes, disk_bytes) values ('small', 2, %s, %s)", 4 * GIB, 10 * GIB)
    yield s
    # Time that has not passed is charged here on purpose; what checks the books would find that.
    rows(db, "delete from accrual")
    rows(db, "delete from accrual_run")


@pytest.fixture(scope="module")
def house(state, site):
    front = Front(state)
    front.users = {name: front.user(name) for name in site.names}
    yield front
    front.close()


# ---------------------------------------------------------------- estimates

def estimate(client, expect=200, **asked):
    return client.rest("GET", "cost-estimate?" + "&".join(f"{k}={v}" for k, v in asked.items()), expect=expect)


def text(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def wanted(kind):
    """What is asked for, and from when on: GB so that a period's bytes are whole."""
    start = NOW + 2 * HOUR
    period = local_unit(ZONES[kind], "month", start)
    gb = (period[1] - period[0]) // HOUR
    return start, period, gb


def deploy(db, site, account, start, hours, gb, zone):
    """What provision and meter write for it, for two periods."""
    vm = one(db, "insert into vm (account_id, uuid, name, instance_name, vcpus, memory_bytes) values (%s, %s, 'new', %s, 2, %s) returning id",
             account, site.uuid(), f"i-new-{account}", 4 * GIB)
    small, identity = one(db, "select id from offering where name = 'small'"), site.uuid()
    for period in (local_unit(zone, "month", start), local_unit(zone, "month", local_unit(zone, "month", start)[1])):
        begin, whole = max(start, period[0]), period[1] - period[0]
        on = timedelta(seconds=hours * 3600 * (period[1] - begin) // whole)
        site.lifetime(account, vm, identity, "new", "running", begin, begin + on, vm_id=vm, vcpus=2, memory_bytes=4 * GIB, offering_id=small)
        sent = gb * 10**9 * ((period[1] - begin) // HOUR) // (whole // HOUR)
        rows(db, "insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch, "
             "net_rx_bytes, net_tx_bytes) values (%s, %s, %s, %s, 'nic', %s, %s, 'e', %s, %s)",
             account, vm + 200000, begin, begin + HOUR, vm, begin + HOUR, sent, sent // 2)
    site.lifetime(account, vm, identity, "new", "allocated", start, None, vm_id=vm, vcpus=2, memory_bytes=4 * GIB, offering_id=small)
    for n, gib in enumerate((20, 50, 7)):
        site.lifetime(account, vm + 300000 + n, site.uuid(), f"disk{n}", "volume", start, None, vm_id=vm, size_bytes=gib * GIB)
    for n in range(2):
        site.lifetime(account, vm + 400000 + n, site.uuid(), f"address{n}", "address", start, None)
    site.lifetime(account, vm + 500000, site.uuid(), "kvm07", "host", start, None, sockets=2, cores=20)


def statement_lines(db, account, period):
    s = rows(db, "select * from statement where account_id = %s and period_from = %s", account, period[0])[0]
    sums = {}
    for (document,) in rows(db, "select document from statement_line where account_id = %s and statement_id = %s", account, s["id"]):
        line = json.loads(document)
        key = line["sku"], line.get("band")
        sums[key] = sums.get(key, 0) + Fraction(line["amount"])
    return s, sums


def test_the_bill_grows_by_what_was_estimated(db, state, site, house):
    """Two accounts alike, of which one gets the machine: their statements differ by the estimate, line by line."""
    told = {}
    for kind, zone in ZONES.items():
        start, period, gb = wanted(kind)
        small = house.admin.rest("GET", "service-offerings?name=small")["serviceoffering"][0]["id"]
        told[kind] = estimate(house.users[f"{kind}-with"], serviceofferingid=small, rootdisksize=20, disksizes="50,7", addresses=2,
                              hostsockets=2, hostcores=20, hours=200, receivegb=gb, transmitgb=Fraction(gb, 2).__float__(), startdate=text(start))
        deploy(db, site, site.names[f"{kind}-with"], start, 200, gb, zone)
    assert told["won"]["unrated"] == ["address", "host.socket"] and told["won"]["notcounted"] == ["cpu.time"]
    assert told["every"]["unrated"] == [] and told["every"]["currency"] == "USD" and told["won"]["currency"] == "KRW"
    last = max(local_unit(zone, "month", local_unit(zone, "month", NOW + 2 * HOUR)[1])[1] for zone in ZONES.values())
    rate(state, "--as-of", text(last + 26 * HOUR))
    for kind, zone in ZONES.items():
        start, period, _ = wanted(kind)
        for window, at in (("first", period), ("month", local_unit(zone, "month", period[1]))):
            asked = told[kind][window]
            new, new_lines = statement_lines(db, site.names[f"{kind}-with"], at)
            old, old_lines = statement_lines(db, site.names[f"{kind}-without"], at)
            for key in ("subtotal", "tax", "total"):
                assert Fraction(asked[key]) == new[key] - old[key], (kind, window, key)
            lines = {}
            for line in asked["lines"]:
                key = line["sku"], line.get("band")
                lines[key] = lines.get(key, 0) + Fraction(line["amount"])
            assert lines == {key: amount - old_lines.get(key, 0) for key, amount in new_lines.items()
                             if amount != old_lines.get(key, 0) or key in lines}, (kind, window)
            assert datetime.fromisoformat(asked["end"].replace("Z", "+00:00")) == at[1]
            assert Fraction(asked["total"]) > 0 and sum(Fraction(x["exact"]) for x in asked["lines"]) == Fraction(asked["exact"])


def test_hours_and_days_are_those_of_the_calendar(house, site):
    client = house.users["won-without"]
    got = estimate(client, cpunumber=4, memory=2048, startdate=text(NOW + 2 * HOUR))
    # Not on the bill's tiers yet: 4 vCPUs at 0.02 and 2 GiB at 0.11 a day, of a day of 24 hours.
    day = [datetime.fromisoformat(got["day"][k].replace("Z", "+00:00")) for k in ("start", "end")]
    assert day == list(local_unit("Asia/Seoul", "day", day[0])) and day[0] >= NOW + 2 * HOUR
    assert got["first"]["lines"][0]["quantity"] and got["month"]["lines"]
    bare = estimate(client, cpunumber=4, memory=2048)
    assert Fraction(bare["hour"]["exact"]) >= 0 and Fraction(got["hour"]["exact"]) == Fraction(got["hour"]["exact"])
    disk = estimate(house.users["every-without"], disksizes="10")
    assert {x["sku"] for x in disk["month"]["lines"]} == {"volume.gib"}


def test_an_estimate_of_nothing_or_nonsense_is_refused(house, site):
    client = house.users["won-without"]
    for asked, word in (({}, "what is it to be"), ({"cpunumber": 2}, "both"), ({"cpunumber": 2, "memory": 16}, "memory is 16"),
                        ({"disksizes": "10,x"}, "disksizes"), ({"disksizes": "1", "receivegb": "-3"}, "receivegb"),
                        ({"disksizes": "1", "startdate": "2020-01-01"}, "before the period"), ({"disksizes": "1", "hours": 900}, "hours is 900"),
                        ({"disksizes": "1", "startdate": "2099-01-01"}, "a year ahead"), ({"hostcores": 4}, "hostsockets")):
        answer = client.http("GET", "/v1/cost-estimate?" + "&".join(f"{k}={v}" for k, v in asked.items()), headers=client.headers())
        assert answer.status == 400 and word in answer.text, (asked, answer.text)
    estimate(client, 404, serviceofferingid=site.uuid())
    estimate(client, 404, cpunumber=1, memory=512, templateid=site.uuid())


def test_the_command_shows_an_estimate(house, site):
    told = house.command("quote", "vm", "small", "--account", "every-without", "--hours", "200").stdout
    assert "new machine" in told and "per hour" in told and "hangs on what was not said: net.rx.bytes, net.tx.bytes" in told
    got = json.loads(house.command("--json", "quote", "vm", "--cpunumber", "2", "--memory", "4096", "--account", "won-without").stdout)
    assert got["currency"] == "KRW" and got["month"]["lines"]


# ---------------------------------------------------------------- budgets

@pytest.fixture(scope="module")
def spender(db, state, site, house):
    """An account of a month of its own, far from the others' clock."""
    begin = local_unit("UTC", "month", NOW)[0]
    account = site.account("spender", "UTC", FLAT)
    house.users["spender"] = house.user("spender")
    rows(db, "update account set created = %s where id = %s", begin, account)
    uuids = {}
    for n, (name, vcpus) in enumerate((("web", 2), ("batch", 6))):
        uuids[name] = site.uuid()
        rows(db, "insert into vm (account_id, id, uuid, name, instance_name, vcpus, memory_bytes) values (%s, %s, %s, %s, %s, %s, %s)",
             account, 900 + n, uuids[name], name, "i-" + name, vcpus, GIB)
        site.lifetime(account, 900 + n, uuids[name], name, "running", begin, None, vm_id=900 + n, vcpus=vcpus, memory_bytes=GIB)
    rows(db, "insert into tag values (%s, 'vm', %s, 'team', 'a=b')", account, uuids["web"])
    rows(db, "insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch, net_tx_bytes) "
         "values (%s, 200900, %s, %s, 'nic', 900, %s, 'e', 4000000000)", account, begin, begin + HOUR, begin + HOUR)
    return account, begin, uuids


def cpu(hours):
    q = 8 * hours
    return min(q, 100) * Fraction("0.10") + max(q - 100, 0) * Fraction("0.07")


def spent_by(scope, hours):
    """What FLAT asks for after so many hours, of the account, of skus or of the machine web."""
    traffic = Fraction(2)
    return {"account": 2 * hours * Fraction("0.30") + cpu(hours) + traffic, "sku": cpu(hours), "net": traffic,
            "web": hours * Fraction("0.30") + cpu(hours) / 4 + traffic}[scope]


def alarms(db, rule="account.budget"):
    return {r["name"]: r["severity"] for r in rows(db, "select * from billing_alarm where rule = %s", rule)}


def test_budgets_tell_their_thresholds_and_what_will_be(db, state, site, house, spender):
    account, begin, uuids = spender
    client = house.users["spender"]
    month = Fraction((local_unit("UTC", "month", begin)[1] - begin) // HOUR)
    made = {}
    for name, amount, more in (("all", "200", {"thresholds": "100,50,120,75"}), ("cpu", "1000.50", {"sku": "vcp"}),
                               ("machine", "100", {"resourceid": uuids["web"].upper()}), ("team", "100", {"tag": "team=a=b"}),
                               ("net", "1000000", {"sku": "net.", "forecastalarm": False})):
        made[name] = client.rest("POST", "budgets", {"name": name, "amount": amount, **more}, expect=201)
        assert made[name]["currency"] == "USD" and Fraction(made[name]["spent"]) >= 2
    assert made["all"]["thresholds"] == "50,75,100,120" and made["cpu"]["thresholds"] == "80,100"
    assert made["machine"]["resourcename"] == "web" and made["machine"]["resourceid"] == uuids["web"]
    seen = []
    hours_at = {}
    for limit, wanted_severity in ((Fraction(1, 2), "warning"), (Fraction(3, 4), "minor"), (Fraction(1), "major"), (Fraction(6, 5), "critical")):
        low, high = 0, 10**7
        while low < high:  # the first second at which the threshold is reached
            middle = (low + high) // 2
            low, high = (low, middle) if rounded(spent_by("account", Fraction(middle, 3600)), 2) >= 200 * limit else (middle + 1, high)
        hours_at[wanted_severity] = Fraction(low, 3600)
        for second, severity in ((low - 60, seen[-1] if seen else None), (low + 60, wanted_severity)):
            rate(state, "--as-of", text(begin + timedelta(seconds=second)))
            assert alarms(db).get("spender/all") == severity
        seen.append(wanted_severity)
    hours = hours_at["critical"] + Fraction(60, 3600)
    got = {b["name"]: b for b in client.rest("GET", "budgets")["budget"]}
    for name, scope in (("all", "account"), ("cpu", "sku"), ("machine", "web"), ("team", "web"), ("net", "net")):
        # Lines of the account are rounded once; a share of them is exact.
        assert abs(Fraction(got[name]["spent"]) - spent_by(scope, hours)) <= Fraction("0.01"), name
    # What runs goes on through the tiers, what is counted as it was.
    ahead = Fraction(2) * month / hours
    want = {"all": spent_by("account", month) - 2 + ahead, "cpu": cpu(month), "net": ahead, "machine": spent_by("web", month) - 2 + ahead}
    for name, amount in want.items():
        assert abs(Fraction(got[name]["forecast"]) - amount) <= Fraction("0.02"), name
    assert got["all"]["level"] == "over" and got["all"]["reached"] == 120
    assert set(alarms(db, "account.forecast")) == {"spender/machine", "spender/team"} - {
        f"spender/{n}" for n in ("machine", "team") if Fraction(got[n]["spent"]) >= 100}


def test_alarms_are_raised_rise_and_end(db, state, site, house, spender):
    """Through the machinery that sends them: jeoul-snmp reads what the rater wrote."""
    client = house.users["spender"]
    budget = client.rest("GET", "budgets?name=all")["budget"][0]
    house.start("jeoul-snmp")
    try:
        def active():
            return {r["object_name"]: r["severity"] for r in rows(db, "select * from alarm where rule = 'account.budget' and cleared_at is null")}
        until("the alarm is raised", lambda: active().get("spender/all") == "critical")
        client.rest("PATCH", f"budgets/{budget['id']}", {"amount": "250", "thresholds": "80,99"})
        # Levels are seen anew at once, by what was spent.
        level = client.rest("GET", f"budgets/{budget['id']}")
        assert level["amount"] == "250.00" and level["thresholds"] == "80,99"
        _, begin, _ = spender
        through = rows(db, "select through from budget_state order by through desc")[0][0]
        rate(state, "--as-of", text(through + timedelta(seconds=5)))
        until("its severity changes", lambda: active().get("spender/all") == {"ok": None, "near": "warning", "over": "major"}[
            client.rest("GET", "budgets?name=all")["budget"][0]["level"]])
        client.rest("DELETE", f"budgets/{budget['id']}")
        until("the alarm ends", lambda: "spender/all" not in active())
        client.rest("GET", f"budgets/{budget['id']}", expect=404)
    finally:
        house.stop("jeoul-snmp")


def test_budgets_that_can_not_be_are_refused(house, site, spender):
    client = house.users["spender"]
    for more, word in (({"amount": "-1"}, "amount"), ({"amount": "1.005"}, "2 places"), ({"amount": "1", "currency": "EUR"}, "billed in USD"),
                       ({"amount": "1", "thresholds": "0"}, "thresholds"), ({"amount": "1", "thresholds": "1,2,3,4,5,6,7,8,9"}, "8 at most"),
                       ({"amount": "1", "tag": "web"}, "key=value"), ({"amount": "1", "tag": "a=b", "sku": "vcpu"}, "not for two")):
        answer = client.http("POST", "/v1/budgets", json.dumps({"name": "x", **more}), client.headers() | {"Content-Type": "application/json"})
        assert answer.status == 400 and word in answer.text, (more, answer.text)
    told = house.command("budget", "list", "--account", "spender").stdout
    assert "machine" in told and "usedpercent" in told and "spender" in told


# ---------------------------------------------------------------- who sees whose

def test_nobody_sees_or_touches_what_is_not_theirs(db, house, site, spender):
    """A grid of callers and accounts; members work in a project's account, others do not."""
    users = {name: house.users[name] for name in ("spender", "won-with", "every-with")}
    project = users["spender"].rest("POST", "projects", {"name": "orbit", "displaytext": "Orbit"}, expect=201)["id"]
    house.admin.rest("POST", f"projects/{project}/members", {"account": "won-with"})
    purse = one(db, "select account_id from project where uuid = %s", project)
    site.lifetime(purse, 7001, site.uuid(), "probe", "running", NOW - 2 * HOUR, None, vcpus=1, memory_bytes=GIB)
    budgets = {"spender": users["spender"].rest("GET", "budgets?name=cpu")["budget"][0]["id"],
               "orbit": users["won-with"].rest("POST", "budgets", {"name": "lift-off", "amount": "5", "projectid": project}, expect=201)["id"]}
    members = {"spender", "won-with"}
    for name, client in users.items():
        for other in users:
            asked = f"account={other}"
            allowed = name == other
            for path in (f"costs?{asked}", f"cost-file?{asked}", f"cost-estimate?disksizes=1&{asked}", f"budgets?{asked}"):
                answer = client.http("GET", f"/v1/{path}", headers=client.headers())
                assert (answer.status == 200) == allowed, (name, path, answer.status)
        seen = {r.get("account") for r in client.rest("GET", "costs?by=account")["rows"]}
        assert seen <= {name}
        for owner, budget in budgets.items():
            scope = f"?projectid={project}" if owner == "orbit" else ""
            body = {"name": "mine now"} | ({"projectid": project} if owner == "orbit" else {})
            allowed = name == owner or (owner == "orbit" and name in members)
            before = one(db, "select name from budget where uuid = %s", budget)
            client.rest("GET", f"budgets/{budget}{scope}", expect=200 if allowed else 404)
            client.rest("PATCH", f"budgets/{budget}", body, expect=200 if allowed else 404)
            assert one(db, "select name from budget where uuid = %s", budget) == ("mine now" if allowed else before)
        got = client.http("GET", f"/v1/costs?by=account,project&projectid={project}", headers=client.headers())
        assert (got.status == 200) == (name in members)
        mine = client.rest("GET", "costs?by=account,project&projects=true")
        assert ("Orbit" in {r["project"] for r in mine["rows"]}) == (name in members)
        assert {d["account"] for d in mine["documents"]} == {name} | ({"project-orbit"} if name in members else set())
    everybody = house.admin.rest("GET", "costs?by=account,project")
    assert {"spender", "won-with", "every-with", "project-orbit"} <= {d["account"] for d in everybody["documents"]}
    assert {b["name"] for b in house.admin.rest("GET", "budgets")["budget"]} >= {"mine now", "machine", "team"}
    assert all(b["account"] == "spender" for b in users["spender"].rest("GET", "budgets")["budget"])
    users["every-with"].rest("DELETE", f"budgets/{budgets['spender']}", expect=404)
    assert one(db, "select removed from budget where uuid = %s", budgets["spender"]) is None
