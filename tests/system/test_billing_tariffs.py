# SPDX-License-Identifier: Apache-2.0
"""Price lists as people write them: presets, both forms, what differs, what is wrong, trying one out."""
import hashlib
import json
import re
import subprocess
import uuid
from datetime import datetime, timedelta

import pytest

from import_house import UTC, ImportHouse, iso, month
from web_house import BIN, TOP

PRESETS = sorted((TOP / "billing/presets").iterdir())
BAD = TOP / "tests/fixtures/bad-tariffs"


def tool(*words):
    return subprocess.run([BIN / "jeoul-tariff", *map(str, words)], capture_output=True, text=True, timeout=60)


def bad_files():
    """Each file with the place, reason and remedy that must be told."""
    for path in sorted(BAD.glob("*.tariff")):
        head = path.read_text().splitlines()[0]
        yield path, *[part.strip() for part in head[1:].split("|")]
    for line in (BAD / "json.txt").read_text().splitlines():
        name, *told = [part.strip() for part in line.split("|")]
        yield BAD / name, *told


def test_there_are_more_than_fifty_bad_files():
    assert len(list(bad_files())) == len(list(BAD.iterdir())) - 1 > 50


@pytest.mark.parametrize("path,place,reason,remedy", bad_files(), ids=lambda v: v.stem if hasattr(v, "stem") else "")
def test_a_bad_list_is_refused_as_a_whole_with_place_reason_and_remedy(path, place, reason, remedy):
    done = tool("check", path)
    assert done.returncode == 1 and done.stdout == ""
    told = re.fullmatch(r"(.*?):(\d+:\d+): (.*)\n    try: (.*)\n", done.stderr)
    assert told, done.stderr
    assert told[1] == str(path) and told[2] == place, done.stderr
    assert reason in told[3] and remedy in told[4], done.stderr
    assert tool("json", path).returncode == 1


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_a_preset_is_good_and_the_same_in_both_forms(path, tmp_path):
    assert tool("check", path).returncode == 0
    text, document = tmp_path / "a.tariff", tmp_path / "a.json"
    text.write_text(tool("text", path).stdout)
    document.write_text(tool("json", text).stdout)
    for other in (text, document):
        done = tool("diff", path, other)
        assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(document.read_text())["prices"]


def test_presets_price_everything_that_is_metered():
    """With one of them no usage of ours is left without a price."""
    metered = set(re.findall(r'\{ "[a-z_]+", "([a-z0-9.]+)", [A-Z-]', (TOP / "billing/usage_stream.c").read_text()))
    metered |= {"vcpu", "vm.running", "memory.gib", "volume.gib", "cpu.time", "disk.read.bytes", "disk.write.bytes",
                "disk.read.requests", "disk.write.requests", "net.rx.bytes", "net.tx.bytes", "host.socket"}
    assert len(PRESETS) == 4 and len(metered) > 15
    for path in PRESETS:
        priced = {p["sku"] for p in json.loads(tool("json", path).stdout)["prices"]}
        assert metered - priced == set(), path


def test_both_forms_say_everything(tmp_path):
    """Every word of the text form: it becomes the document that stands here."""
    text = """
currency EUR          # comments end a line
timezone Europe/Berlin
rounding half_up
increment 0.05
fx KRW 1387.25
tax inclusive rounding down
class standard 19%
class reduced 0.07
price vcpu where offering "large one" where zone a priority 3 per hour by resource taxed reduced
    from 2026-01-01T00:00:00Z to 2026-07-01T00:00:00Z recorded 2025-12-01T00:00:00Z
        tier to 100 at 0.05 plus 1
        tier above at 0.03
        free 10
    always
        volume to 50 at 2
        volume above at 1 plus 7
price net.tx.bytes in GB take sum
    package 100 at 5
    discount 12.5%
    minimum 3
    maximum 9
price host.socket per year anchor 2026-07-01 started day
    commit 100 at 1 over 2
price memory.gib per hour shortest 60 by account
    band night 22:00 to 06:00 mon-wed,sun at 0.002
    band lunch 12:00 to 13:00 at 0.003
    otherwise day at 0.007
"""
    (tmp_path / "a.tariff").write_text(text)
    document = json.loads(tool("json", tmp_path / "a.tariff").stdout)
    tiers = [{"up_to": "100", "price": "0.05", "flat": "1"}, {"up_to": None, "price": "0.03"}]
    assert document == {
        "currency": "EUR", "timezone": "Europe/Berlin", "rounding": "half_up", "increment": "0.05",
        "fx": {"to": "KRW", "rate": "1387.25"},
        "tax": {"mode": "inclusive", "rounding": "down", "classes": {"standard": "0.19", "reduced": "0.07"}},
        "prices": [
            {"sku": "vcpu", "priority": 3, "per": "hour", "group_by": "resource", "tax_class": "reduced",
             "match": {"offering": "large one", "zone": "a"}, "versions": [
                 {"from": "2026-01-01T00:00:00Z", "to": "2026-07-01T00:00:00Z", "recorded_at": "2025-12-01T00:00:00Z",
                  "model": {"type": "graduated", "free_units": "10", "tiers": tiers}},
                 {"model": {"type": "volume", "tiers": [{"up_to": "50", "price": "2"},
                                                        {"up_to": None, "price": "1", "flat": "7"}]}}]},
            {"sku": "net.tx.bytes", "divisor": "1000000000", "aggregate": "sum",
             "model": {"type": "package", "size": "100", "price": "5", "discount_pct": "12.5", "minimum": "3", "maximum": "9"}},
            {"sku": "host.socket", "per": "year", "anchor": "2026-07-01", "granularity": "day",
             "model": {"type": "commit", "units": "100", "price": "1", "overage": "2"}},
            {"sku": "memory.gib", "per": "hour", "min_seconds": "60", "group_by": "account",
             "model": {"type": "tou", "default_name": "day", "price": "0.007", "bands": [
                 {"name": "night", "days": [1, 2, 3, 7], "from": "22:00", "to": "06:00", "price": "0.002"},
                 {"name": "lunch", "from": "12:00", "to": "13:00", "price": "0.003"}]}}]}
    (tmp_path / "b.tariff").write_text(tool("text", tmp_path / "a.tariff").stdout)
    assert tool("diff", tmp_path / "a.tariff", tmp_path / "b.tariff").returncode == 0


def test_what_differs_is_told_price_by_price(tmp_path):
    old, new = tmp_path / "old.tariff", tmp_path / "new.tariff"
    old.write_text("currency USD\nprice vcpu per hour\n unit 0.01\nprice net.tx.bytes in GB\n unit 0.05\nprice memory.gib per hour\n unit 1\n")
    new.write_text("currency USD\nprice memory.gib per hour\n unit 1\nprice vcpu per hour\n unit 0.02\nprice vcpu where offering s per hour\n unit 0.01\n")
    done = tool("diff", old, new)
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["- price vcpu per hour", "-     unit 0.01", "+ price vcpu per hour", "+     unit 0.02",
                                        "- price net.tx.bytes in GB", "-     unit 0.05",
                                        "+ price vcpu where offering s per hour", "+     unit 0.01"]


def test_what_to_look_at_is_told_although_the_list_can_be_used(tmp_path):
    path = tmp_path / "a.tariff"
    path.write_text("currency USD\nprice vcpus per hour\n unit 1\nprice support.hours\n unit 90\n")
    done = tool("check", path)
    assert (done.returncode, done.stdout) == (0, f"{path}: good: 2 prices, USD\n")
    first, second = done.stderr.splitlines()
    assert first == f"{path}:2:7: nothing is metered as vcpus here; is it vcpu?"
    assert second.startswith(f"{path}: no price for vm.running, vcpu, memory.gib,")
    for preset in PRESETS:
        assert tool("check", preset).stderr == "", preset


# ---------------------------------------------------------------- with a server

@pytest.fixture(scope="module")
def house():
    h = ImportHouse()
    try:
        yield h
    finally:
        h.close()


def jeoul(house, *words, check=True):
    return house.command("tariff", *words, check=check)


@pytest.mark.parametrize("path", PRESETS, ids=lambda p: p.stem)
def test_a_list_comes_out_as_it_went_in(house, path, tmp_path):
    """Through import and export in both forms: the same document, and as JSON the same bytes."""
    jeoul(house, "import", path)
    text, document = tmp_path / "a.tariff", tmp_path / "a.json"
    document.write_text(jeoul(house, "export", path.stem, "--format", "json").stdout)
    text.write_text(jeoul(house, "export", path.stem).stdout)
    stored, = house.sql("select document, sha256 from tariff t join tariff_version v on v.tariff_id = t.id where name = %s", path.stem)
    assert document.read_text() == stored[0] and hashlib.sha256(document.read_bytes()).hexdigest() == stored[1]
    assert json.loads(tool("json", text).stdout) == json.loads(stored[0])
    assert tool("text", text).stdout == text.read_text()
    for other in (text, document, path):
        assert (jeoul(house, "diff", path.stem, other).stdout, jeoul(house, "diff", path.stem, other).returncode) == ("", 0)
    jeoul(house, "import", text, "--name", path.stem)
    versions = house.sql("select count(*) from tariff t join tariff_version v on v.tariff_id = t.id where name = %s", path.stem)
    assert versions == [(1,)] if path.suffix == ".tariff" else versions[0][0] <= 2


def test_an_earlier_version_comes_out_too(house, tmp_path):
    path = tmp_path / "moving.tariff"
    for price in ("1", "2"):
        path.write_text(f"currency USD\n\nprice vcpu per hour\n    unit {price}\n")
        jeoul(house, "import", path)
    assert jeoul(house, "export", "moving").stdout == path.read_text()
    assert jeoul(house, "export", "moving", "--version", "1").stdout == path.read_text().replace("unit 2", "unit 1")
    old = tmp_path / "old.tariff"
    old.write_text(jeoul(house, "export", "moving", "--version", "1").stdout)
    done = jeoul(house, "diff", old, "moving", check=False)
    assert done.returncode == 1 and done.stdout.splitlines() == [
        "- price vcpu per hour", "-     unit 1", "+ price vcpu per hour", "+     unit 2"]


def test_what_is_refused_names_the_place_in_the_file_and_stores_nothing(house, tmp_path):
    path = tmp_path / "wrong.tariff"
    path.write_text("currency USD\nprice vm.running by resource\n    unit 0.01\n")
    done = jeoul(house, "import", path, check=False)
    assert done.returncode != 0 and f"{path}:2:1: vm.running lasts for a time" in done.stderr, done.stderr
    assert house.sql("select count(*) from tariff where name = 'wrong'") == [(0,)]
    document = {"currency": "USD", "prices": [{"sku": "vm.running", "model": {"type": "unit", "price": "1"}}]}
    assert "add per" in house.admin.rest("POST", "tariffs", {"name": "wrong", "document": document}, expect=400)["detail"]
    path.write_text("currency USD\nprice vcpu per hour\n    unit 0.01\n")
    check = house.admin.rest("POST", "tariff-checks", {"document": path.read_text()}, expect=201)
    assert check["prices"] == 1 and "no price for vm.running" in check["notes"][0]
    assert house.sql("select count(*) from tariff where name = 'wrong'") == [(0,)]


def last_month():
    return month("UTC", datetime.now(UTC), -1)


def test_a_list_is_tried_out_on_last_month_and_nothing_is_stored(house, tmp_path):
    """Two accounts; the other list doubles one price, drops one and has a tier."""
    begin, end = last_month()
    prices = {"currency": "USD", "tax": {"mode": "exclusive", "classes": {"standard": "0.1"}}, "prices": [
        {"sku": "vcpu", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "0.01"}},
        {"sku": "memory.gib", "per": "hour", "model": {"type": "unit", "price": "0.002"}}]}
    other = tmp_path / "other.tariff"
    other.write_text("""currency USD
tax exclusive
class standard 10%
price vcpu per hour
    tier to 100 at 0.02
    tier above at 0.005
""")
    for number, name in enumerate(("first", "second")):
        client = house.customer(name, prices, "UTC", 70)
        account, = house.sql("select id from account where uuid = %s", client.account)
        for kind in ("running", "allocated"):
            house.sql("""insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name, vcpus,
                memory_bytes, open_reason, close_reason) values (%s, %s, %s, %s, %s, %s, %s, 2, 2::bigint << 30, 'started', 'stopped')""",
                      account[0], 880001 + number, kind, begin, begin + timedelta(hours=300 - 100 * number),
                      str(uuid.UUID(int=880001 + number)), name)
    untouched = "select (select count(*) from statement), (select count(*) from accrual), (select count(*) from accrual_run), " \
        "(select count(*) from tariff_version), (select count(*) from billing_period), (select count(*) from usage_balance)"
    before = house.sql(untouched)
    # 600 and 400 vCPU-hours: 100 of them at 0.02, the rest at 0.005.
    one = json.loads(house.command("--json", "tariff", "simulate", other, "--account", "first").stdout)[0]
    assert {k: v.replace(".000000", "") for k, v in one["period"].items()} == {"start": iso(begin), "end": iso(end)}
    assert one["skus"] == [{"sku": "memory.gib", "was": "1.20", "would_be": "0.00", "difference": "-1.20"},
                           {"sku": "vcpu", "was": "6.00", "would_be": "4.50", "difference": "-1.50"}]
    assert (one["was"]["total"], one["would_be"]["total"]) == ("7.92", "4.95")
    assert "memory.gib" in one["unrated"]
    done = jeoul(house, "simulate", other)
    rows = {r[0]: r[1:] for r in (line.split() for line in done.stdout.splitlines()) if r}
    assert rows["first"] == ["7.92", "4.95", "-2.97", "USD"] and rows["second"] == ["5.28", "3.85", "-1.43", "USD"]
    assert "first: no price for memory.gib" in done.stderr
    jeoul(house, "import", other)
    assert jeoul(house, "simulate", "--id", "other", "--account", "first", "--month", begin.strftime("%Y-%m")).stdout \
        == jeoul(house, "simulate", other, "--account", "first").stdout
    assert "write it as 2026-03" in jeoul(house, "simulate", other, "--account", "first", "--month", "March", check=False).stderr
    house.sql("delete from tariff_version where tariff_id = (select id from tariff where name = 'other')")
    assert house.sql(untouched) == before
    house.customer("stranger").rest("POST", "tariff-simulations", {"document": other.read_text(), "account": "first"}, expect=403)
