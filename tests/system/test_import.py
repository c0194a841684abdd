# SPDX-License-Identifier: Apache-2.0
"""Usage that libvirt does not see: taken in once, whole or not at all, and billed to the last digit."""
import hashlib
import itertools
import json
import random
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from import_house import (UTC, ImportHouse, as_csv, effective, expected, instant, iso, month, record, rounded,  # noqa: F401
                          told)

PRICES = {
    "currency": "USD", "timezone": "Asia/Seoul", "tax": {"mode": "exclusive", "classes": {"standard": "0.10"}},
    "prices": [
        {"sku": "object.storage", "per": "month", "group_by": "resource", "model": {"type": "unit", "price": "0.0231"}},
        {"sku": "object.storage", "per": "month", "group_by": "resource", "match": {"class": "cold"},
         "model": {"type": "unit", "price": "0.0047"}},
        {"sku": "office.licence", "per": "month", "group_by": "account", "model": {"type": "unit", "price": "12.90"}},
        {"sku": "support.hours", "group_by": "account", "model": {"type": "graduated", "tiers": [
            {"up_to": "10", "price": "95"}, {"up_to": None, "price": "80.5"}]}},
    ],
}


@pytest.fixture(scope="module")
def house():
    h = ImportHouse()
    try:
        yield h
        h.rate(now())  # no rater runs here: what became due meanwhile is closed, as it would be
        h.check()
    finally:
        h.close()


@pytest.fixture(scope="module")
def acme(house):
    return house.customer("acme", PRICES, "Asia/Seoul", 5)


def now():
    return datetime.now(UTC)


def mixed(account, source, count, seed, since):
    """So many records until now: levels that overlap, amounts, corrections and corrections of those."""
    dice = random.Random(seed)
    span = (now() - since) // timedelta(microseconds=1)
    out, free = [], []
    while len(out) < count:
        n = len(out)
        at = since + timedelta(microseconds=dice.randrange(span))
        if free and dice.random() < 0.2:
            old = dict(free.pop(dice.randrange(len(free))))
            old.update(id=f"{source}-{n}", corrects=old["id"], seq=str(int(old.get("seq", "0")) + 1),
                       quantity=str(dice.randrange(10**6)))
            out.append(old)
        elif dice.random() < 0.5:
            out.append(record(source, f"{source}-{n}", account, "support.hours", f"{dice.randrange(100)}.{dice.randrange(10**9):09}",
                              at=at))
        else:
            end = {} if dice.random() < 0.2 else {"to": at + timedelta(microseconds=1 + dice.randrange(1800 * 10**6))}
            out.append(record(source, f"{source}-{n}", account, "object.storage", f"{dice.randrange(5000)}.{dice.randrange(10**6):06}",
                              from_=at, resource=dice.choice(["photos", "logs", "저울"]), seq=str(dice.randrange(3)), **end))
            if out[-1]["resource"] == "logs":
                out[-1]["tags"] = {"class": "cold"}
        free.append(out[-1])
    return out


# ---------------------------------------------------------------- once

def test_twenty_pushes_of_one_batch_at_once_are_one(house, acme):
    batch = mixed("acme", "at-once", 400, 1, now() - timedelta(hours=2))
    before = house.count()
    gate = threading.Barrier(20)

    def push(n):
        mine = list(batch)
        if n % 2:
            random.Random(n).shuffle(mine)
        gate.wait()
        return house.push(mine)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(push, range(20)))
    assert sum(a["stored"] for a in answers) == 400 and all(a["stored"] + a["known"] == 400 for a in answers)
    assert house.count() == (before[0] + 400, before[1] + 400)
    assert house.push(batch) == {"records": 400, "stored": 0, "known": 400, "dryrun": False}
    # What is there is what was sent, digit by digit.
    rows = house.stored("at-once")
    assert {r["id"]: (Fraction(r["quantity"]), instant(r.get("at") or r["from"])) for r in batch} == \
        {k: (Fraction(v[0]), v[1]) for k, v in rows.items()}


def test_batches_that_overlap_in_any_order_lock_nothing_up(house, acme):
    batch = [r for r in mixed("acme", "overlap", 300, 2, now() - timedelta(hours=2))]

    def push(n):
        dice = random.Random(n)
        begin = dice.randrange(200)
        mine = batch[begin:begin + 100]
        dice.shuffle(mine)
        return house.push(mine)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(push, range(48)))
    house.push(batch)
    assert set(house.stored("overlap")) == {r["id"] for r in batch}


def test_kill_of_web_and_postgresql_in_mid_push_loses_and_doubles_nothing(house, acme):
    """Each sender repeats its batch until it is answered; what is killed meanwhile shows in nothing."""
    seed = int(time.time())
    print("seed", seed)
    batch = mixed("acme", "killed", 6000, seed, now() - timedelta(hours=2))
    pieces = [batch[i:i + 10] for i in range(0, len(batch), 10)]
    tries, broken, enough = [], [], threading.Event()

    def sender(mine):
        """All of its batches, and then again until there were kills enough."""
        try:
            for n, piece in enumerate(itertools.cycle(mine)):
                if n >= len(mine) and enough.is_set():
                    return
                tries.append(house.patient_push(piece)[1])
        except BaseException as e:  # noqa: BLE001: told below
            broken.append(e)
    senders = [threading.Thread(target=sender, args=(pieces[i::4],)) for i in range(4)]
    dice = random.Random(seed)
    for s in senders:
        s.start()
    for n in range(10):
        time.sleep(dice.random() * 0.3)  # when the blow falls must be chance
        (house.web_killed if n % 2 == 0 else house.postgres_killed)()
    enough.set()
    for s in senders:
        s.join()
    assert not broken, broken[0]
    print(f"10 kills, {sum(tries)} pushes until {len(tries)} were answered, of {len(pieces)} batches")
    assert sum(tries) > len(tries) >= len(pieces), "nothing was hit: this proves nothing"
    house.settled()
    rows = house.stored("killed")
    assert {k: Fraction(v[0]) for k, v in rows.items()} == {r["id"]: Fraction(r["quantity"]) for r in batch}
    assert [house.push(batch[i:i + 2000])["stored"] for i in (0, 2000, 4000)] == [0, 0, 0]
    house.check()


def test_order_of_arrival_changes_nothing(house):
    """The same past in five orders, one record a push or a hundred, is the same bill."""
    since = max(now() - timedelta(hours=3), month("Asia/Seoul", now())[0])
    bills = []
    for n in range(5):
        name = f"order{n}"
        client = house.customer(name, PRICES, "Asia/Seoul", 5)
        batch = [{**r, "source": name} for r in mixed(name, "o", 120, 3, since)]
        random.Random(n).shuffle(batch)
        size = (1, 7, 40, 100, 120)[n]
        for i in range(0, len(batch), size):
            house.push(batch[i:i + size])
        bills.append((client, batch))
    house.rate(now())
    charged = set()
    for client, batch in bills:
        since = month("Asia/Seoul", now())[0]  # on the first days of a month the one before is open too
        lines = house.sql("select sku, resource_name, quantity, exact, amount from accrual a join account c on c.id = a.account_id "
                          "where c.uuid = %s and a.period_from = %s order by 1, 2, 3", client.account, since)
        run, = house.sql("select through from accrual_run r join account c on c.id = r.account_id where c.uuid = %s "
                         "and r.period_from = %s", client.account, since)
        want = expected(batch, PRICES, (month("Asia/Seoul", now())[0], run[0]), "Asia/Seoul")
        assert len(want) == 4
        assert {(line[0], line[1]): tuple(map(Fraction, line[2:])) for line in lines} == want
        charged.add(tuple(line[2:] for line in lines if line[0] == "support.hours"))
    assert len(charged) == 1, "what hangs on no running clock is the same to the digit"


# ---------------------------------------------------------------- conflicts

@pytest.fixture
def first(house, acme):
    """A record of its own for each test."""
    r = record("conflicts", uuid.uuid4().hex, "acme", "support.hours", "2.50", at=now() - timedelta(hours=1))
    house.push([r])
    return r


def refused(house, records, *words, status=409):
    before = house.count()
    problem = house.push(records, expect=status)
    for word in words:
        assert word in problem["detail"], problem["detail"]
    assert house.count() == before, "something of a refused batch was stored"
    return problem["detail"]


def test_same_key_with_other_content_is_a_conflict_that_names_the_first(house, acme, first):
    fresh = record("conflicts", uuid.uuid4().hex, "acme", "support.hours", "1", at=now() - timedelta(hours=1))
    text = refused(house, [fresh, {**first, "quantity": "2.51"}], f'record "{first["id"]}" of source "conflicts"',
                   "records[1]", "quantity 2.50", "the first stands", "corrects")
    assert iso(now())[:10] in text, "when the first came"
    # Written down, though nothing of the batch is there.
    note, = house.sql("select text from event where kind = 'USAGE.CONFLICT' order by id desc limit 1")
    assert note[0] == text
    # The same quantity written otherwise is the same, and so is the account's id for its name.
    assert house.push([{**first, "quantity": "2.5", "account": acme.account}])["known"] == 1
    at = instant(first["at"]).astimezone(__import__("zoneinfo").ZoneInfo("Asia/Seoul")).isoformat()
    assert house.push([{**first, "at": at}])["known"] == 1


@pytest.mark.parametrize("change", [
    {"at": "2026-01-02T03:04:05Z"}, {"sku": "mail.sent", "unit": "mail"}, {"resource": "x"}, {"tags": {"a": "b"}}, {"seq": "3"},
    {"corrects": "other"}, {"resource": "x", "resource_name": "y"}])
def test_any_other_field_is_a_conflict_too(house, acme, first, change):
    if "at" in change:
        change = {"at": iso(instant(first["at"]) + timedelta(microseconds=1))}
    refused(house, [{**first, **change}], *[k for k in change if k not in ("unit", "seq")][:1])


def test_same_key_for_another_account_is_a_conflict(house, acme, first):
    house.customer("elsewhere")
    refused(house, [{**first, "account": "elsewhere"}], "another account", first["id"])


def test_a_record_is_corrected_once(house, acme, first):
    a = {**first, "id": first["id"] + "a", "corrects": first["id"], "quantity": "3"}
    b = {**a, "id": first["id"] + "b", "quantity": "4"}
    house.push([a])
    refused(house, [b], f'"{a["id"]}" corrects already', "name that one in corrects")
    house.push([{**b, "corrects": a["id"], "seq": "2"}])
    states = {r["id"]: r["state"] for r in house.admin.rest("GET", f"usage?source=conflicts&sku=support.hours")["usageentry"]
              if r["id"].startswith(first["id"])}
    assert states == {first["id"]: "corrected", a["id"]: "corrected", b["id"]: "current"}


def test_corrections_never_go_in_a_circle(house, acme, first):
    a, b = first["id"] + "a", first["id"] + "b"
    house.push([{**first, "id": a, "corrects": b, "seq": "1"}])  # its original has not come
    refused(house, [{**first, "id": b, "corrects": a, "seq": "1"}], "seq")
    refused(house, [{**first, "id": b, "corrects": a, "seq": "5"}], "seq")
    refused(house, [{**first, "id": b + "c", "corrects": first["id"], "seq": "0"}], "higher")
    assert house.admin.rest("GET", f"usage?record={a}")["usageentry"][0]["state"] == "pending"
    house.push([{**first, "id": b}])
    assert house.admin.rest("GET", f"usage?record={a}")["usageentry"][0]["state"] == "current"


def test_two_contents_under_one_key_in_one_batch(house, acme):
    r = record("conflicts", uuid.uuid4().hex, "acme", "support.hours", "1", at=now())
    refused(house, [r, {**r, "quantity": "2"}], "records[1]", "stands in records[0] too", "quantity")
    assert house.push([r, r, r]) == {"records": 3, "stored": 1, "known": 2, "dryrun": False}


# ---------------------------------------------------------------- bad input

HEAD = "source,id,account,sku,unit,at,quantity"
GOOD = "f,good{n},acme,support.hours,hour,{now},1.5"
BAD = {
    "empty": ("", ["the file is empty"]),
    "head-only": (f"{HEAD}\n", ["line 2", "no record below"]),
    "unknown-column": ("source,id,konto\n1,2,3\n", ["line 1", 'column "konto"', "account"]),
    "column-twice": ("source,id,id\n1,2,3\n", ["line 1", "id is there twice", "take one out"]),
    "semicolons": (f"{HEAD.replace(',', ';')}\nf;1;acme;support.hours;hour;2026-01-01T00:00:00Z;1\n", ["line 1", "separated by commas"]),
    "too-few-fields": (f"{HEAD}\n{GOOD}\nf,2,acme,support.hours\n", ["line 3", "4 fields", "first line has 7"]),
    "too-many-fields": (f"{HEAD}\n{GOOD},extra\n", ["line 2", "8 fields", "quote a field"]),
    "open-quote": (f'{HEAD}\n{GOOD}\nf,"2,acme,support.hours,hour,{{now}},1\n', ["line 3", "quote is opened and never closed"]),
    "quote-inside": (f'{HEAD}\nf,2,ac"me,support.hours,hour,{{now}},1\n', ["line 2", "quote stands inside"]),
    "behind-quote": (f'{HEAD}\nf,"2"x,acme,support.hours,hour,{{now}},1\n', ["line 2", "behind a closing quote"]),
    "latin1": (f"{HEAD}\n{GOOD}\nf,caf\xe9,acme,support.hours,hour,{{now}},1\n", ["line 3", "not UTF-8", "save the file"]),
    "nul": (f"{HEAD}\nf,2\x01,acme,support.hours,hour,{{now}},1\n", ["line 2", "control character 1"]),
    "no-id": (f"{HEAD}\n{GOOD}\nf,,acme,support.hours,hour,{{now}},1\n", ["line 3, field id", "missing"]),
    "no-source": (f"{HEAD}\n,1,acme,support.hours,hour,{{now}},1\n", ["line 2, field source", "missing"]),
    "comma-number": (f'{HEAD}\nf,1,acme,support.hours,hour,{{now}},"1,5"\n', ["line 2, field quantity", '"1,5"', "write 1234.5"]),
    "exponent": (f"{HEAD}\nf,1,acme,support.hours,hour,{{now}},1e3\n", ["line 2, field quantity", "no exponent"]),
    "negative": (f"{HEAD}\nf,1,acme,support.hours,hour,{{now}},-1\n", ["line 2, field quantity", "below zero", "corrects"]),
    "too-fine": (f"{HEAD}\nf,1,acme,support.hours,hour,{{now}},0.1234567890123456789\n", ["line 2, field quantity", "18 behind"]),
    "no-zone": (f"{HEAD}\nf,1,acme,support.hours,hour,2026-03-01T10:00:00,1\n", ["line 2, field at", "with the zone"]),
    "no-day": (f"{HEAD}\nf,1,acme,support.hours,hour,2026-02-30T10:00:00Z,1\n", ["line 2, field at", "2026-02-30"]),
    "unknown-account": (f"{HEAD}\n{GOOD}\nf,1,nobody,support.hours,hour,{{now}},1\n", ["line 3, field account", '"nobody"', "account list"]),
    "unknown-sku": (f"{HEAD}\nf,1,acme,support.minutes,hour,{{now}},1\n", ["line 2, field sku", '"support.minutes"', "meter create"]),
    "wrong-unit": (f"{HEAD}\nf,1,acme,support.hours,minute,{{now}},1\n", ["line 2, field unit", '"minute"', "convert the quantity to hour"]),
    "level-for-amount": ("source,id,account,sku,unit,from,quantity,resource\nf,1,acme,support.hours,hour,{now},1,x\n",
                         ["line 2, field from", "give at"]),
    "amount-for-level": (f"{HEAD}\nf,1,acme,object.storage,GiB,{{now}},1\n", ["line 2, field at", "give from and to"]),
    "both-times": ("source,id,account,sku,unit,at,from,quantity,resource\nf,1,acme,support.hours,hour,{now},{now},1,x\n",
                   ["line 2, field at", "exclude each other"]),
    "level-without-thing": ("source,id,account,sku,unit,from,quantity\nf,1,acme,object.storage,GiB,{now},1\n",
                            ["line 2, field resource", "missing"]),
    "backwards": ("source,id,account,sku,unit,from,to,quantity,resource\nf,1,acme,object.storage,GiB,{now},{now},1,x\n",
                  ["line 2, field to", "not after from"]),
    "future": (f"{HEAD}\nf,1,acme,support.hours,hour,{{later}},1\n", ["line 2, field at", "in the future"]),
    "before-the-account": (f"{HEAD}\nf,1,acme,support.hours,hour,2019-01-01T00:00:00Z,1\n", ["line 2, field at", "is billed from"]),
    "bad-tags": (f"{HEAD},tags\n{GOOD},a=b;c\n", ["line 2, field tags", '"c" is no tag']),
    "corrects-itself": (f"{HEAD},corrects\nf,1,acme,support.hours,hour,{{now}},1,1\n", ["line 2, field corrects", "id of its own"]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_one_clear_message_and_nothing_is_stored(house, acme, tmp_path, name):
    text, words = BAD[name]
    file = tmp_path / "usage.csv"
    stamp = {"now": iso(now() - timedelta(minutes=1)), "later": iso(now() + timedelta(days=1)), "n": name}
    file.write_bytes(text.format(**stamp).encode("latin1" if name == "latin1" else "utf-8"))
    before = house.count()
    done = house.command("usage", "import", file, check=False)
    assert done.returncode == 2 and done.stdout == "", done.stdout + done.stderr
    message = done.stderr.splitlines()
    assert [m.split(":")[0] for m in message] == ["error", "why", "try"], done.stderr
    for word in words:
        assert word in message[1], message[1]
    assert house.count() == before


@pytest.mark.parametrize("change,words", [
    ({"quantity": 1.5}, ["records[1], field quantity", "put it in quotes"]),
    ({"quantity": None}, ["records[1], field quantity", "missing"]),
    ({"colour": "red"}, ["records[1]", '"colour" is not known']),
    ({"tags": ["a"]}, ["records[1], field tags", '{"name":"value"}']),
    ({"tags": {"a": 1}}, ["records[1], field tags", "no string"]),
    ({"id": "a\nb"}, ["records[1], field id", "control character"]),
    ({"account": " acme"}, ["records[1], field account", "blank"]),
    ({"id": "x" * 129}, ["records[1], field id", "128"]),
])
def test_bad_json_too(house, acme, change, words):
    good = record("json", "good", "acme", "support.hours", "1", at=now() - timedelta(minutes=1))
    refused(house, [good, {**good, "id": "bad", **change}], *words, status=400)


def test_batches_are_bounded(house, acme):
    many = [record("many", n, "acme", "mail.sent", "1", at=now() - timedelta(minutes=1)) for n in range(5001)]
    slim = "id,account,sku,unit,at,quantity\n" + "".join(f"{r['id']},acme,mail.sent,mail,{r['at']},1\n" for r in many)
    before = house.count()
    problem = house.admin.rest("POST", "usage?source=many", slim, expect=400, headers={"Content-Type": "text/csv"})
    assert "line 5002" in problem["detail"] and "more than 5000 records" in problem["detail"]
    assert house.count() == before
    cut = slim[:slim.rindex("5000,acme")]
    begin = time.monotonic()
    answer = house.admin.rest("POST", "usage?source=many", cut, expect=201, headers={"Content-Type": "text/csv; charset=utf-8"})
    print(f"5000 records in {time.monotonic() - begin:.2f} s")
    assert answer == {"records": 5000, "stored": 5000, "known": 0, "dryrun": False}


# ---------------------------------------------------------------- who may

def test_tenants_see_their_own_and_push_nothing(house, acme, first):
    other = house.customer("other")
    assert first["id"] in {r["id"] for r in acme.rest("GET", "usage?source=conflicts&pagesize=500&page=1")["usageentry"]}
    assert other.rest("GET", "usage")["count"] == 0
    assert other.rest("GET", f"usage?record={first['id']}")["count"] == 0
    # The database says the same without any help of the program.
    account, = house.sql("select id from account where uuid = %s", other.account)
    with house.connect("jeoul_web") as db:
        cursor = db.cursor()
        for table in ("usage_import", "usage_import_key", "usage_import_state", "api_usage_import"):
            for scope in ("", str(account[0])):
                cursor.execute(f"begin; select set_config('jeoul.account', %s, true); select count(*) from {table}", (scope,))
                assert cursor.fetchone() == (0,), table
                cursor.execute("rollback")
    for client in (acme, other):
        problem = house.push([{**first, "id": "mine"}], expect=403, client=client)
        assert "may not tell usage" in problem["detail"]
    assert house.sql("select count(*) from usage_import where record = 'mine'") == [(0,)]


def test_a_key_may_be_given_the_right_for_one_source(house, acme):
    agent = house.customer("agent")
    r = record("ceph", "1", "acme", "object.storage", "5", from_=now() - timedelta(minutes=5), to=now(), resource="photos")
    house.push([r], expect=403, client=agent)
    given = house.admin.rest("POST", f"users/{agent.user}/usage-sources", {"source": "ceph"}, expect=201)
    assert given["sources"] == ["ceph"]
    assert house.push([r], client=agent)["stored"] == 1
    house.push([{**r, "source": "desk"}], expect=403, client=agent)
    house.push([r, {**r, "id": "2", "source": "desk"}], expect=403, client=agent)
    assert agent.rest("GET", "usage")["count"] == 0, "to tell is not to read"
    agent.rest("POST", f"users/{agent.user}/usage-sources", {"source": "desk"}, expect=403)
    agent.rest("POST", "usage-meters", {"sku": "x", "unit": "x", "kind": "amount"}, expect=403)
    house.admin.rest("DELETE", f"users/{agent.user}/usage-sources?source=ceph")
    house.push([r], expect=403, client=agent)


def test_meters_stay_what_they_are(house):
    a = house.admin
    assert a.rest("POST", "usage-meters", {"sku": "mail.sent", "unit": "mail", "kind": "amount"}, expect=201)["unit"] == "mail"
    assert "stays so" in a.rest("POST", "usage-meters", {"sku": "mail.sent", "unit": "letter", "kind": "amount"}, expect=409)["detail"]
    assert "Jeoul itself" in a.rest("POST", "usage-meters", {"sku": "vcpu", "unit": "vCPU", "kind": "level"}, expect=409)["detail"]
    for sku in ("Mail", "mail..sent", "mail.", "1mail", "m ail", "mail/x"):
        assert a.rest("POST", "usage-meters", {"sku": sku, "unit": "x", "kind": "amount"}, expect=400)["detail"].startswith("sku:")
    for sku, per in (("object.storage", None), ("support.hours", "hour")):
        price = {"sku": sku, "model": {"type": "unit", "price": "1"}, **({"per": per} if per else {})}
        document = {"currency": "USD", "prices": [{"sku": "vcpu", "per": "hour", "model": price["model"]}, price]}
        assert f"prices[1]: {sku}" in a.rest("POST", "tariffs", {"name": "wrong", "document": document}, expect=400)["detail"]
    assert "amount" in a.rest("POST", "usage-meters", {"sku": "y", "unit": "x", "kind": "gauge"}, expect=400)["detail"]


# ---------------------------------------------------------------- by the command

def test_files_by_the_command(house, acme, tmp_path):
    batch = mixed("acme", "file", 60, 5, now() - timedelta(hours=2))
    (tmp_path / "usage.csv").write_text("\ufeff" + as_csv(batch).replace("\n", "\r\n"))
    (tmp_path / "usage.json").write_text(json.dumps(batch))
    (tmp_path / "object.json").write_text(json.dumps({"records": batch}))
    before = house.count()
    dry = json.loads(house.command("--json", "usage", "import", tmp_path / "usage.csv", "--dryrun", "true").stdout)
    assert dry == {"records": 60, "stored": 60, "known": 0, "dryrun": True} and house.count() == before
    for file, stored in (("usage.csv", 60), ("usage.json", 0), ("object.json", 0)):
        assert json.loads(house.command("--json", "usage", "import", tmp_path / file).stdout)["stored"] == stored
    listed = json.loads(house.command("--json", "usage", "imported", "--source", "file").stdout)
    assert {r["id"]: Fraction(r["quantity"]) for r in listed} == {r["id"]: Fraction(r["quantity"]) for r in batch}
    states = {r["id"]: r["state"] for r in listed}
    assert {k for k, v in states.items() if v == "current"} == {r["id"] for r in effective(batch)}
    assert "support.hours" in house.command("meter", "list").stdout


def test_a_large_file_goes_in_several_batches_that_were_all_checked_before(house, acme, tmp_path):
    batch = mixed("acme", "large", 12000, 6, now() - timedelta(hours=2))
    csv_file, json_file, bad = tmp_path / "large.csv", tmp_path / "large.json", tmp_path / "bad.csv"
    text = as_csv(batch)
    assert len(text) > 1 << 20
    rows = text.split("\n")
    rows[5000] += "\n"  # an empty line, which counts
    csv_file.write_text("\n".join(rows))
    json_file.write_text(json.dumps(batch))
    rows[9001] = rows[9001].replace("acme", "nobody")
    bad.write_text("\n".join(rows))
    before = house.count()
    done = house.command("usage", "import", bad, check=False)
    assert "line 9003, field account" in done.stderr and done.returncode == 2, done.stderr
    json_bad = tmp_path / "bad.json"
    json_bad.write_text(json.dumps(batch[:9000] + [{**batch[9000], "unit": "TiB"}]))
    assert "records[9000], field unit" in house.command("usage", "import", json_bad, check=False).stderr
    dry = json.loads(house.command("--json", "usage", "import", csv_file, "--dryrun", "true").stdout)
    assert dry == {"records": 12000, "stored": 12000, "known": 0, "dryrun": True} and house.count() == before
    begin = time.monotonic()
    for file, stored in ((csv_file, 12000), (csv_file, 0), (json_file, 0)):
        assert json.loads(house.command("--json", "usage", "import", file, "--dryrun", "false").stdout) == {
            "records": 12000, "stored": stored, "known": 12000 - stored, "dryrun": False}
    print(f"three files of 12000 records in {time.monotonic() - begin:.2f} s")
    # What is wrong only with what is stored shows in mid-file: what was stored before stays, and is harmless.
    batch[11000]["quantity"] = "1" + batch[11000]["quantity"]
    csv_file.write_text(as_csv(batch))
    assert "line 11002" in house.command("usage", "import", csv_file, check=False).stderr
    assert len(house.stored("large")) == 12000
    (tmp_path / "utf16.csv").write_bytes(text[:1000].encode("utf-16"))
    assert "not saved as UTF-8" in house.command("usage", "import", tmp_path / "utf16.csv", check=False).stderr
    assert "not saved as UTF-8" in house.admin.rest("POST", "usage", text[:1000].encode("utf-16"), expect=400,
                                                    headers={"Content-Type": "text/csv"})["detail"]


# ---------------------------------------------------------------- bills

def closed_world(house, name):
    """An account since the month before last; answers it and that month's bounds."""
    first = month("Asia/Seoul", now(), -2)
    client = house.customer(name, PRICES, "Asia/Seoul", 0)
    house.sql("update account set created = %s where uuid = %s", first[0] + timedelta(days=1), client.account)
    # Its months close when they are over: so the second one is closed on the first of a month too.
    house.sql("insert into billing_terms (account_id, issuer_id, grace_hours) "
              "select a.id, min(i.id), 0 from account a, issuer i where a.uuid = %s group by 1", client.account)
    return client, first


def statements(house, client):
    return house.sql("select s.id, s.name, s.document, s.total, s.account_id, s.sha256 from statement s join account a "
                     "on a.id = s.account_id where a.uuid = %s order by s.period_from", client.account)


def lines(house, s):
    return [json.loads(r[0]) for r in house.sql("select document from statement_line where account_id = %s and statement_id = %s "
                                                "order by line_no", s[4], s[0])]


def past_of(name, period, seed):
    """A month's usage of one account: things that grow, licences that overlap, support, corrections."""
    dice = random.Random(seed)
    day = lambda d: period[0] + timedelta(days=1 + d, microseconds=dice.randrange(10**10))  # noqa: E731
    out = []
    for thing in ("photos", "logs"):
        begin = day(0)
        for n in range(6):
            end = day(3 + 4 * n)
            out.append(record("s3", f"{name}/{thing}/{n}", name, "object.storage", f"{dice.randrange(10**6)}.{dice.randrange(10**9):09}",
                              from_=begin, to=end, resource=thing, resource_name=thing,
                              **({"tags": {"class": "cold"}} if thing == "logs" else {})))
            begin = end - timedelta(hours=dice.randrange(30))  # reports overlap
    for n in range(5):
        out.append(record("office", f"{name}/{n}", name, "office.licence", "1", from_=day(n), resource=f"seat{n}",
                          **({"to": day(20 + n)} if n % 2 else {})))
    for n in range(25):
        out.append(record("desk", f"{name}/{n}", name, "support.hours", f"0.{dice.randrange(10**18):018}", at=day(n)))
    for old in dice.sample([r for r in out if r["sku"] != "office.licence"], 6):
        out.append({**old, "id": old["id"] + "/c", "corrects": old["id"], "quantity": str(dice.randrange(50)), "seq": "1"})
    out.append(record("mail", f"{name}/1", name, "mail.sent", "17", at=day(3)))  # no price
    out.append({**out[-1], "id": f"{name}/2", "corrects": f"{name}/0"})  # corrects what never came
    return out


@pytest.fixture(scope="module")
def closed(house):
    client, first = closed_world(house, "closed")
    client.past = past_of("closed", first, 11)
    for i in range(0, len(client.past), 10):
        house.push(client.past[i:i + 10])
    house.rate(first[1] + timedelta(minutes=1))
    return client, first


def test_a_statement_is_what_an_independent_computation_says(house, closed):
    client, period = closed
    s, = statements(house, client)
    found = lines(house, s)
    want = expected(client.past, PRICES, period, "Asia/Seoul")
    assert told(found) == want and len(want) == 4
    body = json.loads(s[2])["body"]
    assert Fraction(body["subtotal"]) == sum(v[2] for v in want.values())
    assert Fraction(body["total"]) == Fraction(body["subtotal"]) + rounded(Fraction(body["subtotal"]) / 10)
    by_sku = {line["sku"]: line for line in found}
    assert {sku: by_sku[sku]["unit"] for sku in by_sku} == {
        "object.storage": "GiB-month", "office.licence": "seat-month", "support.hours": "hour"}
    # Each line names its records, and they are found again by those names.
    for line in found:
        mine = [r for r in effective(client.past) if r["sku"] == line["sku"]
                and ("resource" not in line or r["resource"] == line["resource"]["name"])]
        assert int(line["records"]["count"]) == len(mine)
        keys = {f'{r["source"]}/{r["id"]}' for r in mine}
        assert set(line["records"]["first"]) <= keys and len(line["records"]["first"]) == min(20, len(mine))
        source, identity = line["records"]["first"][0].split("/", 1)
        assert client.rest("GET", f"usage?source={source}&record={identity}")["usageentry"][0]["state"] == "current"


def test_each_line_explains_itself_down_to_its_records(house, closed):
    client, period = closed
    s, = statements(house, client)
    by_key = {f'{r["source"]}/{r["id"]}': r for r in effective(client.past)}
    for line in lines(house, s):
        told_ = json.loads(house.command("--json", s[1], line["n"], program="jeoul-explain").stdout)
        explained, = told_["lines"]
        assert explained["changed"] == "0" and explained["line"] == line
        assert sum(Fraction(u["units"]) for u in explained["usage"]) == Fraction(line["quantity"])
        named = [key for u in explained["usage"] for key in u["records"]]
        if line["sku"] == "support.hours":  # each call is a line of its own
            assert {k: Fraction(by_key[k]["quantity"]) for k in named} == \
                {u["records"][0]: Fraction(u["units"]) for u in explained["usage"]}
            assert len(named) == int(line["records"]["count"])
        assert set(named) <= set(by_key) and named
        if "resource" in line:
            assert f"record {named[0]}" in house.command(s[1], line["n"], program="jeoul-explain").stdout


def test_received_is_rated_unrated_rejected_or_pending(house, closed):
    client, _ = closed
    s, = statements(house, client)
    balance = {b["sku"]: {k: int(v) for k, v in b.items() if k != "sku"} for b in json.loads(s[2])["body"]["usage"]}
    for sku in ("object.storage", "office.licence", "support.hours", "mail.sent"):
        mine = [r for r in client.past if r["sku"] == sku]
        b = balance[sku]
        assert b["rated"] + b["unrated"] + b["rejected"] + b.get("pending", 0) + b.get("corrected", 0) == len(mine)
    assert (balance["mail.sent"]["unrated"], balance["mail.sent"]["pending"], balance["mail.sent"]["rated"]) == (1, 1, 0)
    assert sum(b.get("corrected", 0) for b in balance.values()) == 6
    assert all(balance[k]["unrated"] == 0 for k in ("object.storage", "office.licence", "support.hours"))


def test_a_preview_has_the_same_and_shows_what_has_no_price(house):
    client = house.customer("preview", PRICES, "Asia/Seoul", 2)
    begin = max(now() - timedelta(hours=5), month("Asia/Seoul", now())[0])
    past = [record("s3", "preview/1", "preview", "object.storage", "1234.5678", from_=begin, resource="photos"),
            record("desk", "preview/1", "preview", "support.hours", "12.25", at=begin),
            record("mail", "preview/1", "preview", "mail.sent", "3", at=begin)]
    house.push(past)
    bill = client.rest("GET", "bill-preview")
    window = (month("Asia/Seoul", now())[0], instant(bill["as_of"]))
    assert told(bill["lines"]) == expected(past, PRICES, window, "Asia/Seoul")
    assert bill["unrated"] == ["mail.sent"]
    assert {l["sku"]: l["records"]["first"] for l in bill["lines"]} == {
        "object.storage": ["s3/preview/1"], "support.hours": ["desk/preview/1"]}
    # A line of money stands for each second that it lasts: a level without an end goes on.
    assert Fraction(bill["per_hour"]) > 0


def test_what_comes_after_closing_is_a_difference_on_the_next_statement(house, closed):
    client, first = closed
    second = month("Asia/Seoul", now(), -1)
    before = statements(house, client)
    frozen = hashlib.sha256(json.dumps([list(map(str, r)) for r in before] + lines(house, before[0])).encode()).hexdigest()
    late = [record("desk", "closed/late", "closed", "support.hours", "7.125", at=first[0] + timedelta(days=9)),
            record("s3", "closed/late", "closed", "object.storage", "500", from_=first[0] + timedelta(days=3),
                   to=first[0] + timedelta(days=4), resource="new", resource_name="new")]
    wrong = next(r for r in client.past if r["id"] == "closed/photos/5")
    late.append({**wrong, "id": "closed/photos/5/late", "corrects": wrong["id"] + ("/c" if any(
        r["id"] == wrong["id"] + "/c" for r in client.past) else ""), "seq": "2", "quantity": "1"})
    ends = next(r for r in client.past if r["sku"] == "office.licence" and "to" not in r)
    late.append({**ends, "id": ends["id"] + "/end", "corrects": ends["id"], "seq": "1", "to": iso(second[0] + timedelta(days=2))})
    random.Random(3).shuffle(late)
    assert house.push(late)["stored"] == 4
    client.past += late
    house.rate(second[1] + timedelta(minutes=1))
    after = statements(house, client)
    assert len(after) == 2
    assert hashlib.sha256(json.dumps([list(map(str, r)) for r in after[:1]] + lines(house, after[0])).encode()).hexdigest() == frozen
    was = {k: v[2] for k, v in expected([r for r in client.past if r not in late], PRICES, first, "Asia/Seoul").items()}
    now_is = {k: v[2] for k, v in expected(client.past, PRICES, first, "Asia/Seoul").items()}
    want = {k: now_is.get(k, 0) - was.get(k, 0) for k in set(was) | set(now_is) if now_is.get(k, 0) != was.get(k, 0)}
    found = lines(house, after[1])
    got = {(l["sku"], l["resource"]["name"] if "resource" in l else None): Fraction(l["amount"])
           for l in found if l["kind"] == "adjustment"}
    assert got == want and len(want) == 3
    assert all(l["original"]["statement"] == before[0][1] for l in found if l["kind"] == "adjustment")
    # The second month itself: the licences without an end, one of them ended two days in.
    assert told([l for l in found if l["kind"] == "charge"]) == expected(client.past, PRICES, second, "Asia/Seoul")
    # Once more: nothing more.
    house.push(late)
    house.rate(second[1] + timedelta(minutes=2))
    assert statements(house, client) == after
    house.audited()


def test_what_is_too_old_for_any_bill_is_refused(house):
    client, first = closed_world(house, "old")
    house.rate(first[1] + timedelta(minutes=1))
    # As if that month had been closed half a year ago.
    house.sql("""update billing_period set starts = starts - interval '184 days', ends = ends - interval '184 days'
        where account_id = (select id from account where uuid = %s) and closed_at is not null""", client.account)
    at = first[0] - timedelta(days=184) + timedelta(days=20)
    refused(house, [record("desk", "old/1", "old", "support.hours", "1", at=at)], "closed for too long", "100 days", "credit", status=400)
    house.sql("update account set removed = now() where uuid = %s", client.account)
    refused(house, [record("desk", "old/2", "old", "support.hours", "1", at=now())], "no account", status=400)
    refused(house, [record("desk", "old/2", client.account, "support.hours", "1", at=now() + timedelta(seconds=2))], "removed", status=400)
    house.sql("""update billing_period set starts = starts + interval '184 days', ends = ends + interval '184 days'
        where account_id = (select id from account where uuid = %s) and closed_at is not null""", client.account)


# ---------------------------------------------------------------- what our own meters missed

def test_the_provider_settles_what_was_metered_by_a_record(house):
    """An outage that the meter did not see: no charge for its time, with a name and for ever."""
    prices = {"currency": "USD", "prices": [
        {"sku": "vcpu", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "1"}},
        {"sku": "net.tx.bytes", "divisor": "1000", "group_by": "resource", "model": {"type": "unit", "price": "1"}}]}
    client = house.customer("outage", prices, "UTC", 3)
    account, = house.sql("select id from account where uuid = %s", client.account)
    vm, begin = str(uuid.uuid4()), max(now() - timedelta(hours=9), month("UTC", now())[0]).replace(microsecond=0)
    house.sql("""insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name, vcpus,
        memory_bytes, open_reason, close_reason) values (%s, 777001, 'running', %s, %s, %s, 'web1', 4, 1 << 30, 'started', 'stopped'),
        (%s, 777001, 'allocated', %s, %s, %s, 'web1', 4, 1 << 30, 'created', 'destroyed')""",
              account[0], begin, begin + timedelta(hours=8), vm, account[0], begin, begin + timedelta(hours=8), vm)
    hole = {"source": "operator", "id": "incident-7", "account": "outage", "sku": "vcpu", "unit": "vCPU", "quantity": "0",
            "from": iso(begin + timedelta(hours=2)), "to": iso(begin + timedelta(hours=5)), "resource": vm}
    sent = {"source": "operator", "id": "incident-7-bytes", "account": "outage", "sku": "net.tx.bytes", "unit": "byte",
            "quantity": "123456789", "at": iso(begin + timedelta(hours=3)), "resource": vm}
    refused(house, [{**hole, "unit": "GiB"}], "vcpu", "vCPU", status=400)
    refused(house, [{**hole, "resource": str(uuid.uuid4())}], "field resource", "Jeoul itself", status=400)
    agent = house.customer("agent2")
    house.admin.rest("POST", f"users/{agent.user}/usage-sources", {"source": "operator"}, expect=201)
    assert "only the provider" in house.push([hole], expect=400, client=agent)["detail"]
    house.push([hole, sent])
    assert {l["sku"]: (l["resource"], Fraction(l["quantity"]), l["unit"], l["records"]["first"])
            for l in client.rest("GET", "bill-preview")["lines"]} == {
        "vcpu": ({"id": vm, "name": "web1"}, 4 * 5, "vCPU-hour", ["operator/incident-7"]),
        "net.tx.bytes": ({"id": vm, "name": "web1"}, Fraction(123456789, 1000), "1000 byte", ["operator/incident-7-bytes"])}
    house.sql("delete from lifetime where resource_id = 777001")
    house.sql("delete from usage_import_key where source = 'operator'")
    house.sql("delete from usage_import where source = 'operator'")
