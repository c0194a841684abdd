# SPDX-License-Identifier: Apache-2.0
"""Pages of costs, budgets and estimates in headless Chromium."""
import json
from datetime import datetime, timedelta
from fractions import Fraction

import pytest

from billing_front import Front
from billing_house import GIB, PLAIN, UTC, Site, db, one, rate, rows, state  # noqa: F401
from test_billing_focus import TIERED, tariff
from test_pages import CONTRAST, NAMELESS, Browser
from test_pages_billing import look, tenant
from web_house import TOP

TEXTS = {lang: json.loads((TOP / f"web/pages/{lang}.json").read_text()) for lang in ("en", "ko")}
FLAT = tariff([
    {"sku": "vm.running", "per": "hour", "group_by": "resource", "model": {"type": "unit", "price": "0.30"}},
    {"sku": "vcpu", "per": "hour", "model": {"type": "unit", "price": "0.10", "free_units": "5"}},
    {"sku": "volume.gib", "per": "month", "model": {"type": "unit", "price": "0.09"}},
    {"sku": "net.tx.bytes", "divisor": "1000000000", "model": {"type": "unit", "price": "0.05"}},
], tax={"mode": "exclusive", "classes": {"standard": "0.10"}})


@pytest.fixture(scope="module")
def site(db, state):
    s = Site(db, 31, now=datetime(2024, 3, 2, tzinfo=UTC), created=datetime(2024, 1, 5, tzinfo=UTC))
    s.names = {"acme": s.account("acme", "Europe/Berlin", TIERED), "plain": s.account("plain", "Europe/Berlin", PLAIN)}
    rows(db, "update issuer set legal_name = 'Weighbridge'")
    s.vm(s.names["acme"], "web1", [(42, 2, 1024), (25, 3, 3000), (12, 1, 512)])
    s.vm(s.names["acme"], "web2", [(17.3, 1, 777)])
    late = s.vm(s.names["plain"], "shop1", [(45, 2, 512)])
    rows(db, "insert into tag (account_id, resource_kind, resource_uuid, key, value) select account_id, 'vm', uuid, 'team', 'storefront' from vm "
         "where name in ('web1', 'shop1')")
    rows(db, "update account set created = '2024-01-05Z' where name in ('admin', 'unassigned')")
    rows(db, "select credit_give(%s, %s, 'welcome', 'USD', 3, null, null, '2024-01-26Z')", s.names["plain"], s.uuid())
    rate(state, "--as-of", "2024-02-05T00:00:00Z")
    rows(db, "update usage_window set net_tx_bytes = net_tx_bytes + 123456789123, samples = samples + 1 "
         "where account_id = %s and resource_id = %s and window_from = '2024-01-20T10:00Z'", s.names["plain"], late + 200000)
    rows(db, "select credit_give(%s, %s, 'goodwill', 'USD', 500, null, null, '2024-02-20Z')", s.names["plain"], s.uuid())
    rate(state, "--as-of", "2024-03-02T00:00:00Z")
    # Two of today, who have budgets and make machines.
    now = datetime.now(UTC)
    begin = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for name, zone in (("globex", "UTC"), ("hanok", "Asia/Seoul")):
        s.names[name] = account = s.account(name, zone, FLAT)
        rows(db, "update account set created = %s where id = %s", begin - timedelta(days=1), account)
        for n in (1, 2):
            vm = one(db, "insert into vm (account_id, uuid, name, instance_name, vcpus, memory_bytes, state) values (%s, %s, %s, %s, 2, %s, 'Running') "
                     "returning id", account, s.uuid(), f"db{n}", f"i-{name}{n}", GIB)
            s.lifetime(account, vm, one(db, "select uuid from vm where id = %s", vm), f"db{n}", "running", begin - timedelta(hours=9 * n), None,
                       vm_id=vm, vcpus=2, memory_bytes=GIB)
    rows(db, "insert into offering (name, vcpus, memory_bytes, disk_bytes) values ('small', 2, %s, %s)", 4 * GIB, 10 * GIB)
    return s


@pytest.fixture(scope="module")
def house(state, site):
    front = Front(state)
    front.users = {name: front.user(name) for name in site.names}
    front.sql("update app_user set locale = 'ko' where name = 'hanok'")
    front.admin.rest("PATCH", f"users/{front.admin.rest('GET', 'users?username=admin')['user'][0]['id']}",
                     {"password": "the-admins-own-1", "currentpassword": front.one_time})
    front.sql("insert into template (account_id, name, kind, format, path, size_bytes) select id, 'debian', 'disk', 'qcow2', '/x.qcow2', %s "
              "from account where name = 'admin'", 20 * GIB)
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


def choose(b, css, value):
    b.js("const x = document.querySelector(arguments[0]); x.value = arguments[1]; x.dispatchEvent(new Event('change', { bubbles: true }))", css, value)


def amounts(b, css):
    """What stands in the last column of a table, as numbers."""
    return [Fraction(x.replace("$", "").replace(",", "").replace("−", "-")) for x in
            b.js("return [...document.querySelectorAll(arguments[0])].map((tr) => tr.lastElementChild.innerText.trim())", css)]


def no_doubts(b, least):
    assert b.all(".badge.bad") == []
    assert len([x for x in b.all(".badge.good") if x.text == TEXTS["en"]["adds.up"]]) >= least


def test_what_is_on_screen_adds_up_to_the_statement(browser, house):
    tenant(browser, "plain", "/costs?period=days&from=2024-02-01&to=2024-02-29&by=resource,sku")
    s = [x for x in house.users["plain"].rest("GET", "statements")["statement"] if x["startdate"].startswith("2024-01-31")][0]
    shown = amounts(browser, "#rows tbody tr")
    assert sum(shown) == Fraction(s["due"]) and Fraction(s["due"]) < Fraction(s["total"])
    no_doubts(browser, 5)
    text = browser.text("#documents")
    assert s["number"] in text and "2024-02-01 – 2024-02-29" in text and f"${s['total']}" in text.replace(",", "")
    assert TEXTS["en"]["costs.kind.adjustment"] in browser.text("#rows") and "shop1" in browser.text("#rows")
    assert browser.js("return document.querySelectorAll('#days canvas').length") >= 1
    twin = browser.js("return [...document.querySelectorAll('#days tbody tr')].map((tr) => tr.firstElementChild.textContent)")
    assert twin[0] == "2024-02-01" and twin[-1] == "2024-02-29" and len(twin) == 29
    look(browser, "costs-statement")
    # What filters leave out is said, and the sum still is the statement's.
    choose(browser, "#by", "day")
    browser.find("#sku").send_keys("vcpu")
    browser.find("#asked button").click()
    browser.ready()
    browser.wait("only vCPUs are left", lambda: len(browser.all("#rows tbody tr")) == 29)
    no_doubts(browser, 2)
    assert "sku=vcpu" in browser.driver.current_url and "by=day" in browser.driver.current_url
    look(browser, "costs-filtered")


def test_files_are_those_of_what_is_shown(browser, house):
    tenant(browser, "acme", "/costs?period=days&from=2024-02-01&to=2024-02-29&by=tag&tagkey=team")
    links = browser.js("return [...document.querySelectorAll('#files a')].map((a) => a.getAttribute('href'))")
    assert len(links) == 2 and "by=tag%3Ateam" in links[0] and links[0].endswith("format=csv")
    csv = house.users["acme"].http("GET", links[0], headers=house.users["acme"].headers())
    assert csv.status == 200 and "storefront" in csv.text and csv.text.startswith("tag,kind,currency,amount")
    assert "storefront" in browser.text("#rows") and TEXTS["en"]["costs.notag"] in browser.text("#rows")
    look(browser, "costs-tag")


def test_the_provider_sees_all_accounts_and_one(browser, house):
    browser.login("admin", "the-admins-own-1", "/admin")
    browser.go("/costs?period=days&from=2024-02-01&to=2024-02-29")
    assert browser.js("return document.querySelector('#by').value") == "account"
    text = browser.text("#rows")
    assert "acme" in text and "plain" in text
    no_doubts(browser, 4)
    look(browser, "costs-provider")
    choose(browser, "#account", "acme")
    choose(browser, "#by", "resource")
    browser.find("#asked button").click()
    browser.ready()
    browser.wait("one account is left", lambda: "web1" in browser.text("#rows") and "shop1" not in browser.text("#rows"))


def test_budgets_are_made_changed_and_deleted(browser, house, db):
    tenant(browser, "globex", "/budgets")
    assert TEXTS["en"]["budgets.empty"] in browser.text("#list")
    hours = Fraction((datetime.now(UTC) - datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)) // timedelta(seconds=1), 3600)
    sofar = hours * (2 * Fraction("0.30") + 4 * Fraction("0.10"))
    for name, amount, scope, value in (("everything", 2000, "", ""), ("machine one", int(sofar * Fraction("0.55")) + 1, "resourceid", "db1"),
                                       ("processors", "0.01", "sku", "vcpu"), ("tagged", 50, "tag", "team=web")):
        browser.find("#name").send_keys(name)
        choose(browser, "#scope", scope)
        if scope:
            browser.find("#value").send_keys(value)
        browser.find("#amount").send_keys(str(amount))
        browser.find("#new button").click()
        browser.wait(f"{name} is there", lambda name=name: name in browser.text("#list") and name in browser.text("#done"))
    got = {b["name"]: b for b in house.users["globex"].rest("GET", "budgets")["budget"]}
    assert got["machine one"]["resourcename"] == "db1" and got["tagged"]["tag"] == "team=web"
    assert len(browser.all("svg.bar")) == 4 and len(browser.all("svg.bar.over")) == 1
    text = browser.text("#list")
    assert TEXTS["en"]["budgets.level.over"] in text and TEXTS["en"]["budgets.level.ok"] in text and "db1" in text
    look(browser, "budgets")
    browser.find(f"[data-key='edit-{got['processors']['id']}']").click()
    browser.find("#edit-amount").clear()
    browser.find("#edit-amount").send_keys("5000")
    browser.js("document.querySelector('#edit-thresholds').value = '10,90'")
    look(browser, "budget-edit")
    browser.find("#edit button[value=yes]").click()
    browser.wait("it is changed", lambda: browser.all("svg.bar.over") == [])
    assert house.users["globex"].rest("GET", "budgets?name=processors")["budget"][0]["thresholds"] == "10,90"
    browser.find(f"[data-key='edit-{got['tagged']['id']}']").click()
    browser.find("#edit button[value=delete]").click()
    browser.wait("it is gone", lambda: "team=web" not in browser.text("#list"))
    assert browser.text("#notice") == ""


def test_an_estimate_stands_where_a_machine_is_made(browser, house):
    tenant(browser, "globex", "/my")
    browser.find("#create summary").click()
    browser.wait("the estimate is there", lambda: TEXTS["en"]["estimate.month"] in browser.text("#estimate"))
    small = house.admin.rest("GET", "service-offerings?name=small")["serviceoffering"][0]["id"]
    template = house.admin.rest("GET", "templates?name=debian")["template"][0]["id"]
    choose(browser, "#create-offering", small)
    choose(browser, "#create-template", template)
    browser.wait("it is of the template", lambda: "20 GiB" in browser.js("return document.querySelector('#estimate').textContent"))
    got = house.users["globex"].rest("GET", f"cost-estimate?serviceofferingid={small}&templateid={template}")
    assert f"${got['month']['total']}" in browser.text("#estimate").replace(",", "")
    assert TEXTS["en"]["sku.net.tx.bytes"] in browser.text("#estimate")  # depends on use
    browser.js("for (const d of document.querySelectorAll('#estimate details')) d.open = true")
    browser.find("#estimate-send").send_keys("100")
    browser.find("#estimate-hours").send_keys("200")
    browser.wait("traffic is in it", lambda: "100 GB" in browser.text("#estimate"))
    look(browser, "estimate")


def test_in_korean_dark_and_on_a_small_screen(browser_one, house):
    for width, dark in ((1280, False), (390, True)):
        b = browser_one.fresh(width=width, dark=dark, lang="ko")
        tenant(b, "hanok", "/costs")
        for path, word in (("/costs", "costs.title"), ("/budgets", "budgets.title"), ("/my", "my.title")):
            b.go(path)
            if path == "/budgets" and not b.all("svg.bar"):
                house.users["hanok"].rest("POST", "budgets", {"name": "한 달 예산", "amount": "1"}, expect=201)
                b.go(path)
            if path == "/my":
                b.find("#create summary").click()
                b.wait("the estimate is there", lambda: TEXTS["ko"]["estimate.month"] in b.text("#estimate"))
            assert TEXTS["ko"][word] in b.js("return document.title + document.body.innerText")
            assert b.js("return document.documentElement.scrollWidth") <= width
            assert b.js(NAMELESS) == []
            assert b.js(CONTRAST) == [], path
            look(b, f"ko-{width}{path.replace('/', '-')}")
        assert b.complaints() == []
