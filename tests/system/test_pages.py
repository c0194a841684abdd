# SPDX-License-Identifier: Apache-2.0
"""The pages in headless Chromium over a real server; the tenant's VM is libvirt's test driver's."""
import json
import re
import time

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from test_web import PRICES, insert_vm
from web_house import TOP, House, until

TEXTS = {lang: json.loads((TOP / f"web/pages/{lang}.json").read_text()) for lang in ("en", "ko")}
PASSWORD = "the-admins-own-1"


class Browser:
    """One Chromium; a fixture of the module, with fresh cookies for each test."""

    def __init__(self, house, folder):
        options = webdriver.ChromeOptions()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     f"--user-data-dir={folder}"):
            options.add_argument(word)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.house = house
        self.driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
        self.driver.set_page_load_timeout(30)

    def fresh(self, width=1280, dark=False, lang="en"):
        cdp = self.driver.execute_cdp_cmd
        cdp("Network.enable", {})
        cdp("Network.setExtraHTTPHeaders", {"headers": {"Accept-Language": lang}})
        cdp("Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]})
        cdp("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
        cdp("Network.clearBrowserCookies", {})
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        return self

    def go(self, path):
        self.driver.get(f"http://127.0.0.1:{self.house.port}{path}")
        self.ready()

    def ready(self):
        self.wait("the page is drawn", lambda: self.js("return document.body?.dataset?.ready") == "yes")

    def wait(self, what, wanted, seconds=60):
        WebDriverWait(self.driver, seconds, ignored_exceptions=(Exception,)).until(lambda _: wanted(), what)

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def find(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css):
        return self.js("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def login(self, user, password, page):
        self.go("/login")
        self.find("#username").send_keys(user)
        self.find("#password").send_keys(password)
        self.find("#login button").click()
        self.wait(f"{page} opens", lambda: page in self.driver.current_url)
        self.ready()

    def complaints(self):
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def house():
    h = House()
    h.start("jeoul-provision", **{"hypervisor.start": "none"})
    yield h
    h.close()


@pytest.fixture(scope="module")
def world(house):
    """Two tenants; acme has a VM with a graph and a price list, hanok the test driver's domain."""
    acme = house.tenant("acme")
    hanok = house.tenant("hanok", locale="ko", timezone="Asia/Seoul", currency="KRW")
    host = house.admin.rest("POST", "hosts", {"url": "test:///default", "name": "toy"}, expect=201)["host"][0]
    adopted = until("the test driver's domain is adopted",
                    lambda: house.admin.rest("GET", "virtual-machines?name=test")["virtualmachine"])[0]
    things = insert_vm(house, acme.account, "web1")
    house.sql("update lifetime set valid_to = null, close_reason = null, valid_from = now() - interval '2 hours' "
              "where resource_uuid = %s", things["vm"])
    house.sql("update host set state = 'Up' where not simulated")
    house.graph_make(things["vm"], samples=60)
    tariff = house.admin.rest("POST", "tariffs", {"name": "small-hoster", "document": PRICES}, expect=201)
    for account in ("acme", "hanok"):
        house.admin.rest("POST", f"tariffs/{tariff['id']}/assignments", {"account": account}, expect=201)
    house.admin.rest("POST", f"virtual-machines/{adopted['id']}/assign", {"account": "hanok"}, expect=201)
    return {"acme": acme, "hanok": hanok, "web1": things["vm"], "host": host["id"], "toy_vm": adopted["id"]}


@pytest.fixture(scope="module")
def browser_one(house, tmp_path_factory):
    b = Browser(house, tmp_path_factory.mktemp("chromium"))
    yield b
    b.driver.quit()


@pytest.fixture
def browser(browser_one):
    yield browser_one.fresh()
    assert browser_one.complaints() == [], "the browser's console"


@pytest.fixture(scope="module")
def admin_password(house, browser_one):
    """The first log-in: the one-time password is changed on the page, once for all tests."""
    b = browser_one.fresh()
    b.go("/")
    assert "/login" in b.driver.current_url
    b.find("#username").send_keys("admin")
    b.find("#password").send_keys(house.one_time)
    b.find("#login button").click()
    b.wait("the form for a new password", lambda: b.find("#change").is_displayed())
    assert not b.find("#login").is_displayed()
    b.find("#fresh").send_keys(PASSWORD)
    b.find("#again").send_keys(PASSWORD + "x")
    b.find("#change button").click()
    b.wait("two passwords that differ are refused", lambda: b.text("#notice") == TEXTS["en"]["change.differ"])
    b.find("#again").send_keys(Keys.BACKSPACE)
    b.find("#change button").click()
    b.wait("the provider's page", lambda: "/admin" in b.driver.current_url)
    b.ready()
    return PASSWORD


# ---- log-in

def test_one_time_password_leads_to_the_providers_page(admin_password, house):
    assert house.sql("select must_change from app_user where name = 'admin'") == [(False,)]


def test_wrong_password_is_told_politely(browser, world):
    browser.go("/login")
    browser.find("#username").send_keys("acme")
    browser.find("#password").send_keys("wrong-password", Keys.ENTER)
    browser.wait("the refusal", lambda: browser.text("#notice") == TEXTS["en"]["login.refused"])
    assert "/login" in browser.driver.current_url
    browser.driver.get_log("browser")  # Chromium notes the 401 itself


def test_nobody_sees_pages_without_a_session(browser):
    browser.driver.get(f"http://127.0.0.1:{browser.house.port}/admin")
    browser.wait("the log-in page", lambda: "/login" in browser.driver.current_url)
    browser.ready()
    browser.driver.get_log("browser")


def test_tenants_are_led_to_their_own_page(browser, world):
    browser.login("acme", "acme-password", "/my")
    browser.driver.get(f"http://127.0.0.1:{browser.house.port}/admin")
    browser.wait("their own page", lambda: "/my" in browser.driver.current_url)
    browser.ready()


# ---- the provider's page

def test_providers_page_shows_the_whole(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    vms = browser.text("#vms")
    assert "web1" in vms and "acme" in vms and "hanok" in vms
    badges = [row.text for row in browser.all("#vms tbody tr") if row.find_elements(By.CSS_SELECTOR, ".simulated")]
    assert len(badges) == 1 and badges[0].startswith("test")
    hosts = [row.text for row in browser.all("#hosts tbody tr") if row.find_elements(By.CSS_SELECTOR, ".simulated")]
    assert len(hosts) == 1 and "toy" in hosts[0]
    assert "2 · 8 · 16" in browser.text("#hosts")
    assert browser.text("#tiles .tile:nth-child(2) .value").endswith("/ 2")
    assert TEXTS["en"]["alarms.empty"] in browser.text("#alarms")


def test_graph_is_drawn_and_its_table_says_the_same(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    assert browser.text("#graph-title").startswith("Graphs of web1")
    # What librrd keeps and what the table says: half of a core.
    browser.js("document.querySelectorAll('#graph details').forEach((d) => { d.open = true; })")
    cells = browser.js("return [...document.querySelectorAll('.chart:first-child .twin td')].map((c) => c.innerText)")
    assert len(cells) > 10 and set(cells) == {"50 %"}
    assert "at most 50 %" in browser.text(".chart:first-child > .hint")
    painted = browser.js("""return [...document.querySelectorAll('.chart:first-child canvas')].some((canvas) => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        let n = 0; for (let i = 3; i < data.length; i += 4) if (data[i] > 200) n++; return n > 100; })""")
    assert painted
    browser.find("[data-range='24h']").click()
    browser.wait("the day is chosen", lambda: browser.find("[data-range='24h']").get_attribute("aria-pressed") == "true")
    host = browser.find(f"[data-key='graph-{world['host']}']")
    browser.js("arguments[0].click()", host)
    browser.wait("the host's graph, of which there is none yet", lambda: browser.text("#graph-title").startswith("Graphs of toy")
                 and TEXTS["en"]["chart.none"] in browser.text("#graph"))


def test_forecast_is_drawn_when_asked_and_missed_politely(browser, world, house):
    """After the other tests of this graph: it replaces its file."""
    browser.login("acme", "acme-password", "/my")
    browser.find("[data-forecast]").click()
    browser.wait("that there is none", lambda: TEXTS["en"]["chart.noforecast"] in browser.text("#graph"))
    assert "CPU, expected" not in browser.text("#graph")
    browser.find("[data-forecast]").click()
    house.graph_days(world["web1"], 4)
    browser.find("[data-range='24h']").click()
    browser.wait("the day", lambda: "at most 4" in browser.text(".chart:first-child > .hint"))
    # Far right, which is ahead of now: a pale band that floats; the shade under a plain line stands on the ground.
    floats = """return [...document.querySelectorAll('.chart:first-child canvas')].some((c) => {
        const copy = document.createElement('canvas'); copy.width = c.width; copy.height = c.height;
        const g = copy.getContext('2d', { willReadFrequently: true }); g.drawImage(c, 0, 0);
        const d = g.getImageData(Math.floor(c.width * .9), 0, 1, c.height).data;
        let pale = 0, below = 0;
        for (let i = 3; i < d.length; i += 4)
            if (d[i] > 20 && d[i] < 80) { pale++; below = 0; } else below++;
        return pale > 5 && pale < 60 && below > 40; })"""
    assert not browser.js(floats)
    browser.find("[data-forecast]").click()
    browser.wait("the band", lambda: browser.js(floats))
    assert browser.js("""return [...document.querySelectorAll('.chart:not([hidden])')].every((c) =>
        c.querySelector('canvas').clientWidth > c.clientWidth * .9)"""), "they fill their places"
    assert TEXTS["en"]["chart.noforecast"] not in browser.text("#graph")
    browser.find("[data-forecast]").click()
    browser.wait("no forecast any more", lambda: "CPU, expected" not in browser.text("#graph .legend")
                 and browser.find("[data-forecast]").get_attribute("aria-pressed") == "false")
    house.graph_make(world["web1"], samples=60)


def test_bill_of_an_account_opens_line_by_line(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    browser.js("arguments[0].click()", browser.find(f"[data-key='bill-{world['acme'].account}']"))
    browser.wait("the bill", lambda: browser.all("#bill .totals"))
    bill = browser.house.admin.rest("GET", f"bill-preview?accountid={world['acme'].account}")
    assert len(browser.all("#bill tbody tr:not(.group)")) == len(bill["lines"]) >= 2
    assert browser.text("#bill .total dd") == f"${bill['total']}"
    assert TEXTS["en"]["sku.vcpu"] in browser.text("#bill") and "web1" in browser.text("#bill")


def test_page_refreshes_itself_and_shows_an_alarm(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    browser.house.sql("insert into alarm (rule, object_kind, object_name, severity, text, raised_at) values "
                      "('host.unreachable', 'host', 'kvm99', 'critical', 'no answer for 30 s', now())")
    try:
        browser.wait("the alarm appears by itself", lambda: "kvm99" in browser.text("#alarms"), 15)
        assert browser.find("#alarming").is_displayed() and "no answer for 30 s" in browser.text("#alarming")
        assert TEXTS["en"]["severity.critical"] in browser.text("#alarms")
    finally:
        browser.house.sql("update alarm set cleared_at = now() where object_name = 'kvm99'")
    browser.wait("its end too", lambda: not browser.find("#alarming").is_displayed(), 15)
    assert TEXTS["en"]["alarm.over"] in browser.text("#alarms")


def test_keyboard_focus_survives_a_refresh_and_is_visible(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    key = f"graph-{world['web1']}"
    browser.js("document.querySelector(`[data-key='${arguments[0]}']`).focus()", key)
    before = browser.text("#updated")
    browser.wait("a refresh", lambda: browser.text("#updated") != before, 15)
    assert browser.js("return document.activeElement.dataset.key") == key
    browser.find("body").send_keys(Keys.TAB)
    outline = browser.js("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_database_away_is_told_on_the_page_and_heals(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    browser.house.database_stop()
    try:
        browser.wait("the notice", lambda: browser.text("#notice") == TEXTS["en"]["error.database"], 20)
        assert "web1" in browser.text("#vms")  # what was known stays in sight
    finally:
        browser.house.database_start()
    browser.wait("it heals", lambda: not browser.find("#notice").is_displayed(), 25)
    browser.driver.get_log("browser")  # Chromium notes each 503 itself


# ---- the tenant's page

def test_gaps_in_metering_are_shown_to_whom_they_concern(browser, world, house, admin_password):
    house.sql("""insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason) select account_id, id, now() - interval '9 minutes',
        now() - interval '7 minutes', 'nobody looked' from vm where uuid = %s""", world["web1"])
    gap = house.admin.rest("GET", "gaps")["metergap"][0]["id"]
    browser.login("admin", admin_password, "/admin")
    shown = browser.text("#gaps")
    assert "web1" in shown and "acme" in shown and "nobody looked" in shown and f"jeoul gap correct {gap}" in shown and "120 s" in shown
    house.admin.rest("POST", f"gaps/{gap}/corrections", {"sku": "cpu.time", "quantity": "12.5", "reason": "from its log"}, expect=201)
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.login("acme", "acme-password", "/my")
    shown = browser.text("#gaps")
    assert "nobody looked" in shown and "12.500 vCPU-second" in shown and "from its log" in shown and "jeoul gap" not in shown
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.login("hanok", "hanok-password", "/my")
    assert not browser.find("section[aria-labelledby='gaps-title']").is_displayed()


def test_what_the_guest_says_stands_at_its_graphs(browser, world, house):
    house.sql("""insert into vm_guest (account_id, vm_id, seen, tried, facts) select account_id, id, now() - interval '2 minutes', now(), %s
        from vm where uuid = %s""", json.dumps({"hostname": "<b>w1</b>", "osname": "Debian GNU/Linux 12", "filesystems": [
            {"mountpoint": "/", "total": str(20 << 30), "used": str(3 << 30)}], "interfaces": [
            {"name": "lo", "addresses": ["127.0.0.1/8"]}, {"name": "eth0", "addresses": ["192.0.2.7/24", "fe80::1/64"]}]}), world["web1"])
    browser.login("acme", "acme-password", "/my")
    assert browser.text("#guest") == ("The guest says: <b>w1</b> · Debian GNU/Linux 12 · 192.0.2.7 · / 3 GiB of 20 GiB · 2 minutes ago")
    house.sql("update vm_guest set error = 'agent does not respond'")
    browser.go("/my")
    browser.wait("that it is silent", lambda: "silent since" in browser.text("#guest"))


def test_tenant_sees_own_things_only(browser, world):
    browser.login("acme", "acme-password", "/my")
    body = browser.text("main")
    assert "web1" in body and "hanok" not in body and "toy" not in body
    assert len(browser.all("#vms tbody tr")) == 1
    bill = world["acme"].rest("GET", "bill-preview")
    assert browser.text("#bill .total dd") == f"${bill['total']}"


def test_tenant_stops_and_starts_the_vm(browser, world):
    browser.login("hanok", "hanok-password", "/my")
    texts = TEXTS[browser.js("return document.documentElement.lang")]
    assert browser.all("#vms .simulated")

    def button(action):
        return f"[data-key='{action}-{world['toy_vm']}']"

    browser.js("arguments[0].click()", browser.find(button("stop")))
    assert browser.find("#ask").is_displayed()
    browser.find("#ask button[value='no']").click()
    assert world["hanok"].rest("GET", "virtual-machines")["virtualmachine"][0]["state"] == "Running"
    browser.js("arguments[0].click()", browser.find(button("stop")))
    browser.find("#ask-yes").click()
    browser.wait("it is stopped", lambda: browser.text("#done") == texts["did.stop"].replace("{name}", "test"), 40)
    assert world["hanok"].rest("GET", "virtual-machines")["virtualmachine"][0]["state"] == "Stopped"
    browser.wait("another button", lambda: not browser.all(button("stop")) and browser.all(button("start")))
    browser.js("arguments[0].click()", browser.find(button("start")))
    browser.wait("it runs again", lambda: browser.text("#done") == texts["did.start"].replace("{name}", "test"), 40)


def test_empty_states_tell_the_next_step(browser, house):
    house.tenant("newcomer")
    browser.login("newcomer", "newcomer-password", "/my")
    assert TEXTS["en"]["my.vms.empty.next"] in browser.text("#vms")
    assert TEXTS["en"]["bill.notariff.tenant"] in browser.text("#bill")
    assert not browser.find("#graph").is_displayed()


def test_logout_ends_the_session(browser, world):
    browser.login("acme", "acme-password", "/my")
    browser.find("#logout").click()
    browser.wait("the log-in page", lambda: "/login" in browser.driver.current_url)
    browser.driver.get(f"http://127.0.0.1:{browser.house.port}/my")
    browser.wait("it stays closed", lambda: "/login" in browser.driver.current_url)
    browser.driver.get_log("browser")


# ---- language and looks

def test_language_is_the_browsers_then_the_users(browser, world):
    browser.fresh(lang="ko-KR,ko;q=0.9,en;q=0.8").go("/login")
    assert browser.js("return document.documentElement.lang") == "ko"
    assert browser.text("#login button") == TEXTS["ko"]["login.submit"]
    browser.find(".languages a[lang='en']").click()
    browser.wait("English", lambda: browser.text("#login button") == TEXTS["en"]["login.submit"])
    # acme has chosen nothing yet: the choice on this page stays, and is kept with the user.
    browser.login("acme", "acme-password", "/my")
    assert browser.text("#vms-title") == TEXTS["en"]["my.vms"]
    browser.find(".languages a[lang='ko']").click()
    browser.wait("Korean", lambda: browser.text("#vms-title") == TEXTS["ko"]["my.vms"])
    browser.ready()
    assert browser.house.sql("select locale from app_user where name = 'acme'") == [("ko",)]
    browser.fresh(lang="en").login("acme", "acme-password", "/my")
    browser.wait("the user's own language", lambda: browser.text("#vms-title") == TEXTS["ko"]["my.vms"])
    browser.ready()
    browser.house.sql("update app_user set locale = null where name = 'acme'")


CONTRAST = r"""
const rgb = (text) => (text.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const ground = (node) => {
    for (let n = node; n; n = n.parentElement) {
        const colour = rgb(getComputedStyle(n).backgroundColor);
        if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
};
const poor = [];
for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
    if (!own || !node.checkVisibility() || node.closest('.hidden, .dygraph-axis-label, noscript, [disabled]')) continue;
    const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push(`${node.className || node.tagName}: ${node.textContent.trim().slice(0, 30)} ${ratio.toFixed(2)}`);
}
return poor;
"""

SIZES = [(320, False, "ko"), (380, True, "en"), (768, False, "en"), (1280, True, "ko"), (1920, False, "en")]


@pytest.mark.parametrize("width, dark, lang", SIZES)
def test_pages_fit_every_width_and_can_be_read(browser, world, admin_password, width, dark, lang):
    browser.fresh(width, dark, lang)
    browser.go("/login")
    for page, user, password in (("/login", None, None), ("/admin", "admin", admin_password), ("/my", "acme", "acme-password")):
        if user:
            browser.login(user, password, page)
            browser.js("const c = document.getElementById('create'); if (c) c.open = true;")
            browser.wait("graphs", lambda: browser.all("#graph canvas"))
            bills = browser.all("[data-key^='bill-']")
            if bills:
                browser.js("arguments[0].click()", bills[0])
                browser.wait("a bill", lambda: browser.text("#bill"))
        assert browser.js("return document.documentElement.lang") == lang
        wide = browser.js("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{page} scrolls sideways at {width}: {wide}"
        wide = browser.js("return [...document.querySelectorAll('main table')].filter((t) => t.checkVisibility() && "
                          "t.scrollWidth > t.parentElement.clientWidth).map((t) => [t.caption?.textContent, t.scrollWidth])")
        assert wide == [], f"{page}: tables are cut at {width}"
        assert browser.js(CONTRAST) == [], f"{page} {'dark' if dark else 'light'}"
        if user:
            browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})


NAMELESS = """return [...document.querySelectorAll('input, select, button, table, a, img')]
            .filter((n) => n.checkVisibility()).filter((n) => {
        if (n.tagName === 'TABLE') return !n.caption?.textContent;
        if (n.tagName === 'IMG') return n.getAttribute('alt') === null;
        if (['INPUT', 'SELECT'].includes(n.tagName)) return !n.labels?.length;
        return !(n.getAttribute('aria-label') || n.textContent.trim()); }).map((n) => n.outerHTML.slice(0, 120))"""


def test_everything_has_a_name(browser, world, admin_password):
    browser.login("admin", admin_password, "/admin")
    assert browser.js(NAMELESS) == []
    browser.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.login("acme", "acme-password", "/my")
    assert browser.js(NAMELESS) == []
    assert browser.js("return document.querySelectorAll('[style*=\"javascript\"], script:not([src])').length") == 0
    # Each section is named by its heading, and one heading of the first order leads the page.
    assert browser.js("return document.querySelectorAll('h1').length") == 1
    missing = browser.js("return [...document.querySelectorAll('[aria-labelledby]:not([hidden])')]"
                         ".filter((n) => !document.getElementById(n.getAttribute('aria-labelledby'))).length")
    assert missing == 0


def test_korean_page_has_no_english_left(browser, world):
    browser.fresh(lang="ko").login("hanok", "hanok-password", "/my")
    text = browser.text("main")
    english = {v for k, v in TEXTS["en"].items() if len(v) > 6 and "{" not in v and v != TEXTS["ko"].get(k)}
    words = {line.strip() for line in re.split(r"[\n\t]", text)}
    assert not words & english
    assert TEXTS["ko"]["my.bill"] in text and "US$" in text


def test_time_is_that_of_the_account(browser, world):
    browser.fresh(lang="en").login("acme", "acme-password", "/my")
    shown = browser.text("#updated")
    utc = time.gmtime()
    hour = utc.tm_hour % 12 or 12
    assert any(f" {(hour + d - 1) % 12 + 1}:" in shown for d in (0, 11)), shown
