# SPDX-License-Identifier: Apache-2.0
"""Pages of closed statements in headless Chromium: list, statement, why a line costs that, and what has no price."""
import json
import os
import pathlib
import re
import subprocess
from datetime import datetime, timezone
from fractions import Fraction

import pytest

from billing_front import Front
from billing_house import PLAIN, SEOUL, UTC, Site, db, one, rate, rows, state  # noqa: F401
from test_billing_focus import COMMITTED, TIERED
from test_pages import CONTRAST, NAMELESS, Browser
from web_house import TOP

TEXTS = {lang: json.loads((TOP / f"web/pages/{lang}.json").read_text()) for lang in ("en", "ko")}


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 77, now=datetime(2024, 3, 2, tzinfo=UTC), created=datetime(2024, 1, 5, tzinfo=UTC))
    s.names = {name: s.account(name, zone, document) for name, zone, document in (
        ("acme", "Europe/Berlin", TIERED), ("globex", "Asia/Seoul", COMMITTED), ("plain", "Europe/Berlin", PLAIN), ("hanok", "Asia/Seoul", SEOUL))}
    rows(db, "update issuer set legal_name = 'Weighbridge GmbH', address = 'Waagplatz 1'")
    s.vm(s.names["acme"], "web1", [(42, 2, 1024), (25, 3, 3000), (12, 1, 512)])
    s.vm(s.names["acme"], "web2", [(17.3, 1, 777)])
    s.vm(s.names["globex"], "batch1", [(40, 3, 3000)])
    s.late = s.vm(s.names["plain"], "shop1", [(45, 2, 512)])
    s.vm(s.names["plain"], "shop2", [(33, 1, 512)])
    s.vm(s.names["hanok"], "db1", [(38, 4, 4096), (20, 1, 512)])
    rows(db, "update account set created = '2024-01-05Z' where name in ('admin', 'unassigned')")
    rows(db, "update usage_window set raw_vcpu_ns = array[vcpu_ns, 7], raw_disk_write = disk_write_bytes, raw_net_tx = net_tx_bytes")
    rows(db, "select credit_give(%s, %s, 'welcome', 'USD', 3, null, null, '2024-01-26Z')", s.names["plain"], s.uuid())
    rate(state, "--as-of", "2024-02-05T00:00:00Z")
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 123456789123, samples = samples + 1 "
         "where account_id = %s and resource_id = %s and window_from = '2024-01-20T10:00Z'", s.names["plain"], s.late + 200000)
    rate(state, "--as-of", "2024-03-02T12:00:00Z")
    february = rows(db, "select * from statement where account_id = %s and period_from > '2024-01-20'", s.names["acme"])[0]
    rows(db, "insert into billing_request (account_id, kind, request) values (%s, 'credit_note', %s)", s.names["acme"],
         json.dumps({"statement": february["name"], "reason": "goodwill", "items": [{"sku": "vcpu", "percent": "33.333"}]}))
    rate(state, "--as-of", "2024-03-02T12:00:30Z")
    return s


@pytest.fixture(scope="module")
def house(state, site):
    front = Front(state)
    front.users = {name: front.user(name) for name in site.names}
    front.sql("update app_user set locale = 'ko' where name = 'hanok'")
    front.admin.rest("PATCH", f"users/{front.admin.rest('GET', 'users?username=admin')['user'][0]['id']}",
                     {"password": "the-admins-own-1", "currentpassword": front.one_time})
    yield front
    front.close()


@pytest.fixture(scope="module")
def browser_one(house, tmp_path_factory):
    b = Browser(house, tmp_path_factory.mktemp("chromium"))
    yield b
    b.driver.quit()


@pytest.fixture
def browser(browser_one):
    yield browser_one.fresh()
    assert browser_one.complaints() == [], "the browser's console"


def admin(b, path):
    b.login("admin", "the-admins-own-1", "/admin")
    b.go(path)


def tenant(b, name, path="/statements"):
    b.login(name, f"{name}-password", "/my")
    b.go(path)


def look(b, name):
    """A picture for people, where one is asked for: PICTURES=folder."""
    folder = os.environ.get("PICTURES")
    if folder:
        height = b.js("return Math.ceil(document.querySelector('main').getBoundingClientRect().bottom + scrollY) + 20")
        b.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": b.js("return innerWidth"), "height": min(height, 3000),
                                                                        "deviceScaleFactor": 1, "mobile": False})
        b.driver.save_screenshot(str(pathlib.Path(folder) / f"{name}.png"))


def statement(house, account, kind="invoice"):
    """The latest one."""
    return [s for s in house.admin.rest("GET", f"statements?account={account}")["statement"] if s["kind"] == kind][0]


def lines(house, s):
    return house.admin.rest("GET", f"statements/{s['id']}/lines")["statementline"]


def no_doubts(b):
    """How many sums the page added up anew; each came out as the server says."""
    assert [x.text for x in b.all(".badge.bad")] == []
    return len([x for x in b.all(".badge.good") if x.text == TEXTS["en"]["adds.up"]])


def column(b, table, place):
    """Exact numbers of a column, the sum apart: what is cut on screen has the whole as its title."""
    cells = b.js("""return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map((tr) => {
        const span = [...tr.children].at(arguments[1]).querySelector('span:not(.badge)');
        return span.title || span.textContent.replaceAll(',', ''); })""", table, place)
    return [Fraction(x) for x in cells[:-1]], Fraction(cells[-1])


def test_statements_are_listed_for_whom_they_are(browser, house):
    admin(browser, "/statements")
    assert len(browser.all("#list tbody tr")) == house.admin.rest("GET", "statements")["count"] == 9
    text = browser.text("#list")
    s = statement(house, "plain")
    assert s["number"] in text and "$67," in text and "₩" in text and TEXTS["en"]["statement.kind.credit_note"] in text
    # Of the account's own calendar: February is February, for whoever looks.
    assert "Feb 1, 2024 – Feb 29, 2024" in text and "Jan 31, 2024 – " not in text
    look(browser, "list")
    tenant(browser.fresh(), "globex")
    assert {row.text.split()[0] for row in browser.all("#list tbody tr")} == {
        s["number"] for s in house.admin.rest("GET", "statements?account=globex")["statement"]}
    assert not browser.find(".pages a[data-provider]").is_displayed()
    browser.driver.get(f"http://127.0.0.1:{house.port}/statements?id={s['id']}")
    browser.wait("another's statement is not there", lambda: browser.text("#notice"))
    assert browser.all("#lines tbody tr") == []
    browser.driver.get_log("browser")  # the 404 is told there too


def test_a_statement_shows_its_lines_and_files(browser, house, site):
    january, s = [x for x in house.admin.rest("GET", "statements?account=plain")["statement"]][::-1]
    admin(browser, f"/statements?id={s['id']}")
    assert no_doubts(browser) == 1
    text = browser.text("#lines")
    found = lines(house, s)
    assert len(browser.all("#lines tbody tr:not(.group)")) == len(found)
    adjustment = next(x for x in found if x["kind"] == "adjustment")
    assert TEXTS["en"]["statement.line.adjustment"].format(number=january["number"], start="Jan 1, 2024") in text
    assert f"${adjustment['amount']}" in text
    look(browser, "statement")
    for format in ("html", "csv", "json"):
        link = browser.find(f"#files a[href*='format={format}']").get_attribute("href")
        got = browser.driver.execute_async_script("fetch(arguments[0]).then((r) => r.text()).then(arguments[1])", link)
        assert s["number"] in got
        if format == "json":
            closed = rows_of(house, s)
            assert json.loads(got)["statement"] == json.loads(closed)
    browser.go(f"/statements?id={january['id']}")
    assert "welcome" in browser.text("#lines .totals") and no_doubts(browser) == 1
    browser.go(f"/statements?id={statement(house, 'acme')['id']}")
    assert "in the prices" in browser.text("#lines .totals") and no_doubts(browser) == 1
    browser.go(f"/statements?id={statement(house, 'acme', 'credit_note')['id']}")
    assert "goodwill" in browser.text("#one") and no_doubts(browser) == 1


def rows_of(house, s):
    return house.sql("select document from statement where uuid = %s", s["id"])[0][0]


def test_every_kind_of_line_explains_itself_and_adds_up(browser, house):
    admin(browser, "/statements")
    seen = set()
    for account in ("acme", "globex", "plain", "hanok"):
        s = statement(house, account)
        for line in lines(house, s):
            key = account, line["sku"], line["kind"], "resourceid" in line
            if key in seen or (account != "acme" and line["sku"] == "vm.running"):
                continue
            seen.add(key)
            browser.go(f"/why?statement={s['id']}&line={line['n']}")
            # Pieces, resources, parts, corrections, windows: whatever is shown was added up.
            assert no_doubts(browser) >= 2, line
            units, sum_ = column(browser, "#used .tall table", -1)
            assert sum(units) == sum_, line
            if line["kind"] == "charge":
                assert sum_ == Fraction(line["quantity"]), line
            amount = browser.text(".steps .last .value")
            assert amount.replace(",", "").lstrip("$₩") == line["amount"], line
            if line["sku"] in ("vcpu", "memory.gib", "cpu.time") and account == "acme" or line["kind"] == "adjustment":
                look(browser, f"why-{account}-{line['sku']}-{line['kind']}")
    assert len(seen) > 25


def test_a_line_of_the_whole_account_opens_down_to_raw_counters(browser, house):
    s = statement(house, "plain")
    n = next(x["n"] for x in lines(house, s) if x["sku"] == "net.tx.bytes")
    tenant(browser, "plain", f"/why?statement={s['id']}&line={n}")
    parts, whole = column(browser, "#used > table", -1)
    assert len(parts) == 2 and sum(parts) == whole and not browser.find("#windows").is_displayed()
    before = no_doubts(browser)
    browser.find("#used a").click()
    browser.wait("windows", lambda: browser.all("#windows tbody tr"))
    browser.ready()
    assert no_doubts(browser) >= before + 2
    values, total = column(browser, "#windows table", -1)
    assert len(values) == 29 * 24 and sum(values) == total == parts[0] * 10**6
    # The counters of the window are those of the table.
    raw = browser.js("return [...document.querySelectorAll('#windows tbody tr')].slice(0, 3).map((tr) => tr.children[2].innerText.trim())")
    stored = house.sql("select raw_net_tx::text from usage_window where account_id = (select id from account where name = 'plain') and resource_kind = 'nic' "
                       "and resource_id = (select id + 200000 from vm where name = %s) and window_from >= %s order by window_from limit 3",
                       browser.text("#line-title").split("·")[-1].strip() if "·" in browser.text("#line-title") else "shop1", s["startdate"])
    assert [int(re.sub(r"\D", "", x)) for x in raw] == [int(x[0]) for x in stored]
    look(browser, "why-windows")


def test_the_graph_of_that_time_stands_below(browser, house, site):
    s = statement(house, "acme")
    line = next(x for x in lines(house, s) if x["sku"] == "vcpu" and x["resourcename"] == "web1")
    path = house.state / "rrd/v2/vm" / line["resourceid"][:2] / f"{line['resourceid']}.rrd"
    path.parent.mkdir(parents=True, exist_ok=True)
    first = int(datetime(2024, 1, 31, 23, tzinfo=timezone.utc).timestamp())
    sources = [f"DS:{name}:7200:0:U" for name in ("up:GAUGE", "cpu_ns:DERIVE", "mem:GAUGE", "rx:DERIVE", "tx:DERIVE")]
    subprocess.run(["rrdtool", "create", str(path), "--step", "3600", "--start", str(first - 3600), *sources, "RRA:AVERAGE:0.5:1:800"],
                   check=True, timeout=20)
    values = [f"{first + i * 3600}:1:{i * 1_800_000_000_000}:100:{i * 3_600_000}:{i * 7_200_000}" for i in range(29 * 24)]
    subprocess.run(["rrdtool", "update", str(path), *values], check=True, timeout=20)
    tenant(browser, "acme", f"/why?statement={s['id']}&line={line['n']}")
    assert browser.all("#graph canvas") and "Feb" in browser.text("#graph")
    assert "at most 500" not in browser.text("#graph") and "MiB/s" not in browser.text("#graph")
    look(browser, "why-graph")


def test_a_sum_that_is_wrong_is_called_so(browser, house):
    admin(browser, "/statements")
    said = browser.driver.execute_async_script("""const done = arguments[0];
        import('/pages/exact.js').then(({ total, verdict, exact, shown }) => done([
            verdict(total(['1/3', '1/3', '1/3']), '1').className, verdict(total(['0.1', '0.2']), '0.3').className,
            verdict(total(['1/3', '2/3']), '1.0000000001').className, verdict(total(['9007199254740993', '1']), '9007199254740995').className,
            shown('-10/3').textContent, shown('1234567.50').textContent, String(exact('10/4')), shown('-0.25').textContent]))""")
    assert said == ["badge good", "badge good", "badge bad", "badge bad", "-3.333333333…", "1,234,567.5", "5/2", "-0.25"]


def test_unrated_usage_tells_what_to_do(browser, house):
    admin(browser, "/unrated")
    text = browser.text("#unrated")
    unrated = house.admin.rest("GET", "usage-balance?unrated=true")
    assert len(browser.all("#unrated tbody tr")) == unrated["count"] > 10
    assert {b["account"] for b in unrated["usagebalance"]} == {"plain", "hanok"}
    assert 'jeoul tariff export "tariff of plain"' in text and "net.rx.bytes" in text
    assert no_doubts_in(browser, "#balance") == len(browser.all("#balance tbody tr")) > 50
    look(browser, "unrated")
    house.sql("update usage_balance set received = received + 1 where account_id = %s and sku = 'vcpu'", house.sql(
        "select id from account where name = 'acme'")[0][0])
    browser.go("/unrated")
    assert TEXTS["en"]["unrated.lost"] in browser.text("#balance")
    house.sql("update usage_balance set received = received - 1 where account_id = %s and sku = 'vcpu'", house.sql(
        "select id from account where name = 'acme'")[0][0])
    tenant(browser.fresh(), "plain", "/statements")
    browser.driver.get(f"http://127.0.0.1:{house.port}/unrated")
    browser.wait("tenants are led back", lambda: "/my" in browser.driver.current_url)
    browser.ready()


def no_doubts_in(b, place):
    return sum(x.text == TEXTS["en"]["adds.up"] for x in b.all(f"{place} .badge.good"))


@pytest.mark.parametrize("width, dark, lang", [(320, False, "ko"), (768, True, "en"), (1280, True, "ko")])
def test_pages_fit_every_width_and_can_be_read(browser, house, width, dark, lang):
    s = statement(house, "plain")
    n = next(x["n"] for x in lines(house, s) if x["sku"] == "cpu.time")
    browser.fresh(width, dark, lang).login("admin", "the-admins-own-1", "/admin")
    for path in ("/statements", f"/statements?id={s['id']}", f"/why?statement={s['id']}&line={n}", "/unrated"):
        browser.go(path)
        assert browser.js("return document.documentElement.lang") == lang
        wide = browser.js("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{path} scrolls sideways at {width}: {wide}"
        wide = browser.js("return [...document.querySelectorAll('main table')].filter((t) => t.checkVisibility() && "
                          "t.scrollWidth > t.parentElement.clientWidth).map((t) => [t.caption?.textContent, t.scrollWidth])")
        assert wide == [], f"{path}: tables are cut at {width}"
        assert browser.js(CONTRAST) == [], f"{path} {'dark' if dark else 'light'}"
        assert browser.js(NAMELESS) == [], path
        assert browser.js("return document.querySelectorAll('h1').length") == 1
        if lang == "ko":
            words = {line.strip() for line in re.split(r"[\n\t]", browser.text("main"))}
            assert not words & {v for k, v in TEXTS["en"].items() if len(v) > 6 and "{" not in v and v != TEXTS["ko"].get(k)}
        look(browser, f"{width}-{lang}{path.partition('?')[0].replace('/', '-')}{'-one' if '?' in path else ''}")
        browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
