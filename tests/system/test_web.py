# SPDX-License-Identifier: Apache-2.0
"""The API on both faces over a real server and a real PostgreSQL."""
import concurrent.futures
import datetime
import http.cookies
import json
import re
import socket
import stat
import subprocess
import threading
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as xml

import pytest

from web_house import BIN, TOP, Client, House, until

PRICES = json.loads((TOP / "billing/presets/small-hoster.json").read_text())


@pytest.fixture(scope="module")
def house():
    h = House()
    yield h
    h.close()


@pytest.fixture(scope="module")
def acme(house):
    return house.tenant("acme")


@pytest.fixture(scope="module")
def hanok(house):
    return house.tenant("hanok", locale="ko", timezone="Asia/Seoul", currency="KRW")


@pytest.fixture(scope="module")
def anybody(house):
    return Client(house)


def insert_vm(house, account, name, simulated=False):
    """A VM with disk, NIC, lifetime, usage, job and charges, as the roles would write them."""
    host = house.sql("""insert into host (account_id, zone_id, name, uri, simulated, state, hypervisor, sockets, cores,
        threads, memory_bytes) select 1, 1, %s, %s, %s, 'Up', 'QEMU', 2, 8, 16, 1 << 30 returning id""",
                     f"host-of-{name}", f"qemu:///{name}", simulated)[0][0]
    number = house.sql("select id from account where uuid = %s", account)[0][0]
    vm = str(uuid.uuid4())
    vm_id = house.sql("""insert into vm (account_id, uuid, name, instance_name, host_id, vcpus, memory_bytes, state)
        values (%s, %s, %s, 'i-' || %s, %s, 1, 96 << 20, 'Running') returning id""", number, vm, name, name, host)[0][0]
    volume, volume_id = house.sql("""insert into volume (account_id, vm_id, name, target, size_bytes)
        values (%s, %s, %s, 'vda', 1 << 30) returning uuid, id""", number, vm_id, f"disk-of-{name}")[0]
    nic, nic_id = house.sql("""insert into nic (account_id, vm_id, mac, network)
        values (%s, %s, '52:54:00:00:00:01', 'default') returning uuid, id""", number, vm_id)[0]
    since = "2026-03-01T00:00:00Z"
    for kind, resource, resource_id, size in (("allocated", vm, vm_id, None), ("running", vm, vm_id, None),
                                              ("volume", volume, volume_id, 1 << 30)):
        house.sql("""insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name,
            vm_id, host_id, vcpus, memory_bytes, size_bytes, open_reason, close_reason)
            values (%s, %s, %s, %s, '2026-03-01T10:20:00Z', %s, %s, %s, %s, 1, 96 << 20, %s, 'created', 'stopped')""",
                  number, resource_id, kind, since, resource, name, vm_id, host, size)
    for hour in range(3):
        for resource_id, kind, column in ((nic_id, "nic", "net_tx_bytes"), (volume_id, "volume", "disk_write_bytes")):
            house.sql(f"""insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id,
                through, epoch, {column}) values (%s, %s, %s::timestamptz + %s * interval '1 hour',
                %s::timestamptz + (%s + 1) * interval '1 hour', %s, %s, %s::timestamptz + (%s + 1) * interval '1 hour', 'e', %s)""",
                      number, resource_id, since, hour, since, hour, kind, vm_id, since, hour, 9007199254740993)
    job = house.sql("""insert into job (account_id, command, object_kind, object_uuid, state, finished)
        values (%s, 'startVirtualMachine', 'vm', %s, 'succeeded', now()) returning uuid""", number, vm)[0][0]
    house.sql("""insert into accrual_run (account_id, period_from, period_to, through, generation, currency, subtotal, tax,
        total, per_hour) values (%s, date_trunc('month', now()), date_trunc('month', now()) + interval '1 month', now(), 1,
        'USD', 1.20, 0.12, 1.32, '0.05') on conflict do nothing""", number)
    return {"vm": vm, "volume": str(volume), "nic": str(nic), "job": str(job), "host": host, "name": name}


@pytest.fixture(scope="module")
def things(house, acme, hanok):
    return {"acme": insert_vm(house, acme.account, "web1"), "hanok": insert_vm(house, hanok.account, "shop1", True)}


# ---- the first admin

def test_first_admin_is_made_once_and_its_key_is_private(house):
    key = house.state / "admin.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    again = house.run_tool("jeoul-first-admin").stdout
    assert "exists" in again and "password " not in again.replace("password: ", "")
    assert key.read_text() == before
    assert house.sql("select count(*) from app_user where name = 'admin'") == [(1,)]


def test_one_time_password_opens_nothing_but_its_own_change(house, anybody):
    login = anybody.http("POST", "/v1/session", json.dumps({"username": "admin", "password": house.one_time}),
                         {"Content-Type": "application/json"})
    assert login.status == 200 and login.json["mustchange"] is True
    cookie = "; ".join(v.split(";")[0] for v in login.headers.get_all("Set-Cookie"))
    assert anybody.http("GET", "/v1/hosts", headers={"Cookie": cookie}).status == 403
    csrf = {"Cookie": cookie, "X-CSRF-Token": login.json["sessionkey"], "Content-Type": "application/json"}
    user = f"/v1/users/{login.json['userid']}"
    body = {"password": "a-better-one", "currentpassword": house.one_time}
    wrong = anybody.http("PATCH", user, json.dumps({**body, "currentpassword": "guess"}), csrf)
    assert wrong.status == 400 and "present password" in wrong.json["detail"]
    assert anybody.http("PATCH", user, json.dumps({**body, "password": "short"}), csrf).status == 400
    assert anybody.http("PATCH", user, json.dumps(body), {**csrf, "X-CSRF-Token": "x"}).status == 401
    assert anybody.http("PATCH", user, json.dumps(body), csrf).status == 200
    assert anybody.http("GET", "/v1/hosts", headers={"Cookie": cookie}).status == 200
    old = json.dumps({"username": "admin", "password": house.one_time})
    assert anybody.http("POST", "/v1/session", old, {"Content-Type": "application/json"}).status == 401


def test_reset_makes_a_new_one_time_password(house, anybody):
    text = house.run_tool("jeoul-first-admin", "--reset").stdout
    fresh = text.split("one-time password ")[1].split()[0]
    login = anybody.http("POST", "/v1/session", json.dumps({"username": "admin", "password": fresh}),
                         {"Content-Type": "application/json"})
    assert login.status == 200 and login.json["mustchange"] is True
    assert house.admin.rest("GET", "session")["provider"] is True  # the key works on


def test_passwords_are_hashed_and_unreadable_for_web(house, acme):
    stored = house.sql("select password_hash from app_user where name = 'acme'")[0][0]
    assert stored.startswith("$y$")
    for column in ("password_hash", "secret_key"):
        with pytest.raises(Exception, match="permission denied"):
            house.sql(f"select {column} from app_user", role="jeoul_web")


# ---- CloudStack's face

def test_signatures_of_all_clients_are_taken(house):
    for safe in ("*", "*~", "*[]", "*~[]"):
        zones = house.admin.cs("listZones", safe=safe, keyword="~[x]*")
        assert zones == {}
    assert house.admin.cs("listZones")["count"] == 1
    assert house.admin.cs("listZones", method="POST")["count"] == 1


def test_names_may_come_in_any_case(house):
    zone = house.admin.cs("listZones")["zone"][0]
    assert house.admin.cs("listTemplates", zoneId=zone["id"], listAll="True", templateFilter="executable") == {}


@pytest.mark.parametrize("why, change", [
    ("wrong secret", lambda c: setattr(c, "secret", "x")),
    ("unknown key", lambda c: setattr(c, "apikey", "nobody")),
])
def test_wrong_keys_get_401_in_the_envelope(house, why, change):
    client = Client(house, *house.admin_key())
    change(client)
    inside = client.cs("listZones", expect=401)
    assert inside["errorcode"] == 401 and inside["uuidList"] == [] and inside["cserrorcode"] == 4290


def test_changed_parameters_break_the_signature(house, anybody):
    p = house.admin.signed("listZones", {"name": "a"})
    p["name"] = "b"
    assert anybody.http("GET", "/client/api?" + urllib.parse.urlencode(p)).status == 401


def test_expired_signatures_are_refused(house):
    now = datetime.datetime.now(datetime.timezone.utc)
    form = "%Y-%m-%dT%H:%M:%S+0000"
    soon = (now + datetime.timedelta(minutes=10)).strftime(form)
    past = (now - datetime.timedelta(minutes=1)).strftime(form)
    assert house.admin.cs("listZones", signatureVersion=3, expires=soon)["count"] == 1
    assert house.admin.cs("listZones", signatureVersion=3, expires=past, expect=401)["errorcode"] == 401
    assert house.admin.cs("listZones", signatureVersion=3, expect=401)["errorcode"] == 401
    assert house.admin.cs("listZones", signatureVersion=3, expires="soon", expect=401)["errorcode"] == 401


def test_disabled_users_and_accounts_are_out(house):
    ghost = house.tenant("ghost")
    assert ghost.cs("listZones")["count"] == 1
    house.sql("update app_user set state = 'disabled' where name = 'ghost'")
    ghost.cs("listZones", expect=401)
    house.sql("update app_user set state = 'enabled' where name = 'ghost'")
    house.sql("update account set state = 'locked' where name = 'ghost'")
    ghost.cs("listZones", expect=401)
    ghost.rest("GET", "zones", expect=401)


def test_errors_carry_cloudstacks_codes(house, acme, anybody):
    admin = house.admin
    assert admin.cs("startVirtualMachine", expect=431)["errortext"] == \
        "Unable to execute API command startvirtualmachine due to missing parameter id"
    missing = admin.cs("startVirtualMachine", id=str(uuid.uuid4()), expect=431)
    assert "entity does not exist" in missing["errortext"] and missing["cserrorcode"] == 4350
    assert admin.cs("nonsense", expect=432)["errorcode"] == 432
    assert acme.cs("listHosts", expect=401)["errorcode"] == 401
    answer = anybody.http("GET", "/client/api?command=listZones&response=json")
    assert answer.status == 401 and "listzonesresponse" in answer.json
    assert answer.headers["X-Description"]
    assert "errorresponse" in anybody.http("GET", "/client/api?response=json").json
    assert anybody.http("GET", "/client/api?command=listZones&x=%zz&response=json").status == 430


def test_xml_is_the_default_and_well_formed(house, things):
    text = house.admin.cs("listVirtualMachines", response="xml", listall="true")
    root = xml.fromstring(text)
    assert root.tag == "listvirtualmachinesresponse" and root.attrib == {"cloud-stack-version": "4.20.0.0"}
    assert int(root.find("count").text) == len(root.findall("virtualmachine")) == 2
    assert root.find("virtualmachine/nic/macaddress").text == "52:54:00:00:00:01"
    p = house.admin.signed("listZones", {})
    del p["response"], p["signature"]
    unsigned = Client(house).http("GET", "/client/api?" + urllib.parse.urlencode(p))
    assert unsigned.headers["Content-Type"].startswith("text/xml")
    assert xml.fromstring(unsigned.text).find("errorcode").text == "401"


def test_empty_lists_are_empty_objects(house):
    assert house.admin.cs("listVirtualMachines", name="nothing") == {}
    assert house.admin.cs("listAlerts") == {}


def test_single_objects_are_wrapped_once(house):
    offering = house.admin.cs("createServiceOffering", name="small", displaytext="small", cpunumber=1, cpuspeed=1000, memory=96)
    assert offering["serviceoffering"]["memory"] == 96
    template = house.admin.cs("registerTemplate", name="guest", displaytext="x", format="QCOW2", hypervisor="KVM", url="x",
                              ostypeid="x", zoneid="-1", method="POST",
                              **{"details[0].kernel": "/k", "details[0].initrd": "/i", "details[0].cmdline": "quiet"})
    assert template["count"] == 1 and template["template"][0]["kind"] == "kernel"
    assert house.admin.cs("listCapabilities")["capability"]["cloudstackversion"] == "4.20.0.0"
    assert "already" in house.admin.cs("createServiceOffering", name="small", cpunumber=1, memory=96, expect=431)["errortext"]


def test_list_apis_is_whole(house, acme):
    answer = house.admin.cs("listApis", listall="true")
    names = {a["name"] for a in answer["api"]}
    assert answer["count"] == len(names) >= 35
    for api in answer["api"]:
        assert api["description"] and isinstance(api["isasync"], bool) and "related" in api
        for p in api["params"]:
            assert {"name", "type", "required", "description", "length", "related"} <= set(p), (api["name"], p)
            assert isinstance(p["required"], bool)
        for f in api["response"]:
            assert {"name", "type", "description"} <= set(f)
    mine = {a["name"] for a in acme.cs("listApis")["api"]}
    assert mine < names and "listHosts" not in mine and "deployVirtualMachine" in mine
    assert acme.cs("listApis", name="addHost") == {}
    raw = Client(house).http("GET", "/client/api?" + urllib.parse.urlencode(house.admin.signed("listApis", {})))
    assert b"\n" not in raw.raw


def test_session_of_the_query_api(house, acme, anybody):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    words = {"command": "login", "username": "acme", "password": "acme-password", "domain": "/", "response": "json"}
    assert anybody.http("GET", "/client/api?" + urllib.parse.urlencode(words)).status == 405
    login = anybody.http("POST", "/client/api", urllib.parse.urlencode(words), form)
    inside = login.json["loginresponse"]
    assert inside["type"] == "0" and inside["is2faenabled"] == "false" and inside["timeout"] == 1800
    jar = http.cookies.SimpleCookie()
    for value in login.headers.get_all("Set-Cookie"):
        jar.load(value)
    assert jar["JSESSIONID"]["httponly"] and jar["sessionkey"].value == inside["sessionkey"]
    cookie = {"Cookie": f"JSESSIONID={jar['JSESSIONID'].value}; sessionkey={inside['sessionkey']}"}
    base = "/client/api?command=listUsers&response=json"
    key = urllib.parse.quote(inside["sessionkey"])
    good = anybody.http("GET", f"{base}&sessionkey={key}", headers=cookie)
    assert [u["username"] for u in good.json["listusersresponse"]["user"]] == ["acme"]
    assert anybody.http("GET", base, headers=cookie).status == 401
    assert anybody.http("GET", f"{base}&sessionkey=x", headers=cookie).status == 401
    only = {"Cookie": f"JSESSIONID={jar['JSESSIONID'].value}"}
    assert anybody.http("GET", f"{base}&sessionkey={key}", headers=only).status == 401
    words["password"] = "wrong"
    refused = anybody.http("POST", "/client/api", urllib.parse.urlencode(words), form)
    assert refused.status == 531 and refused.json["loginresponse"]["errorcode"] == 531
    out = anybody.http("GET", "/client/api?command=logout&response=json", headers=cookie)
    assert out.json == {"logoutresponse": {"description": "success"}}
    assert anybody.http("GET", f"{base}&sessionkey={key}", headers=cookie).status == 401


def test_paging(house):
    for i in range(12):
        house.admin.cs("createServiceOffering", name=f"page-{i:02}", cpunumber=1, memory=64)
    seen = []
    for page in (1, 2, 3):
        answer = house.admin.cs("listServiceOfferings", keyword="page-", page=page, pagesize=5)
        assert answer["count"] == 12
        seen += [o["name"] for o in answer["serviceoffering"]]
    assert seen == [f"page-{i:02}" for i in range(12)]
    assert house.admin.cs("listServiceOfferings", keyword="page-", page=9, pagesize=5) == {"count": 12}
    assert "page" in house.admin.cs("listServiceOfferings", pagesize=5, expect=431)["errortext"]
    assert "pagesize" in house.admin.cs("listServiceOfferings", page=1, expect=431)["errortext"]
    assert "500" in house.admin.cs("listServiceOfferings", page=1, pagesize=501, expect=431)["errortext"]
    assert house.admin.cs("listServiceOfferings", page=1, pagesize=500)["count"] >= 12
    assert house.admin.cs("listServiceOfferings", pagesize=-1)["count"] >= 12


# ---- REST

def test_rest_says_what_is_wrong_as_rfc_9457(house, anybody):
    answer = anybody.http("GET", "/v1/zones")
    assert answer.status == 401 and answer.headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(answer.json)
    assert anybody.http("GET", "/v1/nothing").status == 404
    not_so = anybody.http("PUT", "/v1/hosts")
    assert not_so.status == 405 and sorted(not_so.headers["Allow"].split(", ")) == ["GET", "POST"]
    assert house.admin.rest("POST", "service-offerings", "{broken", expect=400)["detail"]
    assert house.admin.rest("POST", "service-offerings", [1], expect=400)["detail"]
    assert "body" in house.admin.rest("POST", "service-offerings", "x", expect=400, headers={"Content-Type": "text/plain"})["detail"]
    assert house.admin.rest("GET", "virtual-machines?id=x", expect=400)["kind"] == "input"
    assert house.admin.rest("GET", f"jobs/{uuid.uuid4()}", expect=404)["kind"] == "not found"


def test_rest_takes_bearer_and_refuses_half_truths(house, anybody):
    key, secret = house.admin_key()
    assert anybody.http("GET", "/v1/zones", headers={"Authorization": f"Bearer {key}:{secret}"}).status == 200
    for wrong in (f"Bearer {key}", f"Bearer {key}:", f"Bearer {key}:{secret}x", "Basic !!", "Digest x", f"Bearer x:{secret}"):
        assert anybody.http("GET", "/v1/zones", headers={"Authorization": wrong}).status == 401, wrong


def test_openapi_names_every_operation_and_the_docs_are_current(house, anybody):
    document = anybody.http("GET", "/v1/openapi.json").json
    ids = {op["operationId"] for path in document["paths"].values() for op in path.values()}
    assert ids == {a["name"] for a in house.admin.rest("GET", "operations")["api"]}
    written = subprocess.run([BIN / "jeoul-api-doc"], check=True, capture_output=True, text=True, timeout=20).stdout
    assert (TOP / "docs/api.md").read_text() == written, "run: jeoul-api-doc > docs/api.md"


def test_head_and_security_headers(house, anybody):
    for path in ("/login", "/v1/openapi.json", "/client/api?command=listZones"):
        answer = anybody.http("GET", path)
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    head = anybody.http("HEAD", "/login")
    assert head.status == 200 and head.raw == b"" and int(head.headers["Content-Length"]) > 500
    page = anybody.http("POST", "/login")
    assert page.status == 405 and page.headers["Allow"] == "GET, HEAD"
    etag = anybody.http("GET", "/pages/style.css").headers["ETag"]
    assert anybody.http("GET", "/pages/style.css", headers={"If-None-Match": etag}).status == 304


def test_fields_of_every_list_are_those_of_the_table(house, things):
    """A column that the table does not know would silently stay out."""
    unknown = {}
    views = {"api_zone": "zone", "api_host": "host", "api_virtual_machine": "virtualmachine", "api_user": "user",
             "api_account": "account", "api_offering": "serviceoffering", "api_template": "template", "api_alarm": "alert",
             "api_tariff": "tariff", "api_running_bill": "runningbill", "api_volume": "volume", "api_snapshot": "snapshot",
             "api_vm_snapshot": "vmsnapshot", "api_disk_offering": "diskoffering", "api_iso": "iso", "api_network": "network",
             "api_domain": "domain", "api_resource_limit": "resourcelimit", "api_project": "project", "api_cluster": "cluster",
             "api_pod": "pod", "api_host_history": "hosthistory", "api_capacity": "capacity", "api_affinity_group": "affinitygroup",
             "api_tag": "tag", "api_key_pair": "sshkeypair"}
    document = Client(house).http("GET", "/v1/openapi.json").json["components"]["schemas"]
    for view, schema in views.items():
        columns = {c for (c,) in house.sql("select column_name from information_schema.columns where table_schema = 'jeoul' "
                                           "and table_name = %s", view)}
        inside = columns - {"row_id", "account_id", "removed", "expunged", "domain_row", "of_domain", "owner_row", "account_row",
                            "zone_row"}
        fields = set(document[schema]["properties"]) - {"password"}  # of a VM: shown once, kept nowhere
        if view == "api_zone":
            inside -= {"created"}
        if view == "api_host":
            fields -= {"hasenoughcapacity", "requiresStorageMotion", "suitableformigration"}  # of findHostsForMigration alone
        if inside - fields or fields - columns:
            unknown[view] = (inside - fields, fields - columns)
    assert unknown == {}


# ---- tenants

def test_provider_lists_own_unless_listall_on_the_old_face(house, things):
    assert house.admin.cs("listVirtualMachines") == {}
    assert house.admin.cs("listVirtualMachines", listall="true")["count"] == 2
    assert house.admin.cs("listVirtualMachines", account="acme")["count"] == 1
    assert house.admin.cs("listVirtualMachines", id=things["hanok"]["vm"])["count"] == 1
    assert house.admin.rest("GET", "virtual-machines")["count"] == 2
    assert "find account" in house.admin.cs("listVirtualMachines", account="nobody", expect=431)["errortext"]


def test_simulated_is_told_to_its_owner_but_hosts_are_not(acme, hanok, things):
    mine = hanok.rest("GET", "virtual-machines")["virtualmachine"][0]
    assert mine["simulated"] is True and mine["hypervisor"] == "Simulator"
    assert not {"hostid", "hostname", "instancename"} & set(mine)
    assert acme.rest("GET", "virtual-machines")["virtualmachine"][0]["simulated"] is False


def arguments_of(api, other):
    """Parameters that point at the other tenant wherever they can."""
    values = {"id": other["vm"], "ids": other["vm"], "virtualmachineid": other["vm"], "jobid": other["job"],
              "hostid": str(uuid.uuid4()), "kind": "vm", "accountid": other["account"], "usageid": other["vm"],
              "startdate": "2026-01-01", "enddate": "2027-01-01", "name": "x", "username": "hanok", "password": "12345678",
              "serviceofferingid": other["offering"], "templateid": other["template"], "locale": "en"}
    if api["name"] in ("updateUser", "registerUserKeys", "listUsers"):
        values["id"] = other["user"]
    if api["name"] == "listAccounts":
        values["id"] = other["account"]
    return {p["name"]: values[p["name"]] for p in api["params"] if p["name"] in values}


def test_isolation_matrix(house, acme, hanok, things):
    """acme calls every operation with everything of hanok's: nothing shows, nothing changes."""
    other = {**things["hanok"], "account": hanok.account, "user": hanok.user,
             "offering": house.admin.rest("GET", "service-offerings")["serviceoffering"][0]["id"],
             "template": house.admin.rest("GET", "templates")["template"][0]["id"]}
    theirs = {other["vm"], other["volume"], other["nic"], other["job"], other["account"], other["user"], "shop1", "hanok"}

    def picture():
        return house.sql("""select (select jsonb_agg(to_jsonb(v) order by id) from vm v), (select jsonb_agg(to_jsonb(u) - 'created'
            order by id) from app_user u where name = 'hanok'), (select count(*) from job), (select count(*) from account a where not exists (
            select from project p where p.account_id = a.id and p.owner_id = (select id from account where name = 'acme')))""")

    before = picture()
    document = Client(house).http("GET", "/v1/openapi.json").json["paths"]
    methods = {op["operationId"]: (method.upper(), path) for path, ops in document.items() for method, op in ops.items()}
    tried = 0
    for api in house.admin.rest("GET", "operations")["api"]:
        name = api["name"]
        if name in ("login", "logout", "deployVirtualMachine"):
            continue
        for extra in ({}, {"account": "hanok"}, {"listall": "true"}):
            known = {p["name"] for p in api["params"]}
            if not set(extra) <= known:
                continue
            values = {**arguments_of(api, other), **extra}
            method, path = methods[name]
            target = re.sub(r"\{(\w+)\}", lambda m: values[m.group(1)], path.removeprefix("/v1/")) \
                if set(re.findall(r"\{(\w+)\}", path)) <= set(values) else None
            answers = [acme.http("GET", "/client/api?" + urllib.parse.urlencode(acme.signed(name, values)))]
            if target is not None:
                headers = {"Authorization": f"Bearer {acme.apikey}:{acme.secret}", "Content-Type": "application/json"}
                body = json.dumps(values) if method in ("POST", "PATCH") else None
                query = "" if body else "?" + urllib.parse.urlencode(values)
                answers.append(acme.http(method, f"/v1/{target}{query}", body, headers))
            for answer in answers:
                tried += 1
                assert answer.status < 500 or answer.status == 531, (name, values, answer.text)
                said = answer.text
                for value in values.values():  # what we sent ourselves may come back in an error's text
                    said = said.replace(str(value), "")
                leak = [word for word in theirs - set(map(str, values.values())) if word in said]
                assert not leak, (name, values, leak, answer.text)
                if answer.status == 200:
                    assert not [w for w in (other["vm"], other["user"], other["account"], "shop1") if w in answer.text], \
                        (name, values, answer.text)
    assert tried > 60
    assert picture() == before


def test_tenants_may_not_make_things_for_others(house, acme, hanok):
    offering = house.admin.rest("GET", "service-offerings")["serviceoffering"][0]["id"]
    template = house.admin.rest("GET", "templates")["template"][0]["id"]
    body = {"name": "sneaky", "serviceofferingid": offering, "templateid": template}
    assert acme.rest("POST", "virtual-machines", {**body, "account": "hanok"}, expect=403)["kind"] == "denied"
    assert "permission" in acme.cs("deployVirtualMachine", expect=531, account="hanok", **body)["errortext"]
    assert acme.rest("POST", "virtual-machines", {**body, "hostid": str(uuid.uuid4())}, expect=403)
    assert house.sql("select count(*) from vm where name = 'sneaky'") == [(0,)]


TABLES = ("vm", "vm_guest", "volume", "nic", "lifetime", "usage_window", "meter_gap", "meter_gap_act", "account_tariff", "accrual", "accrual_run", "job",
          "app_user", "account")


def test_row_level_security_shows_one_account_only(house, acme, hanok, things):
    acme_id = house.sql("select id from account where uuid = %s", acme.account)[0][0]
    with house.connect("jeoul_web") as db:
        cursor = db.cursor()
        for table in TABLES:
            column = "id" if table == "account" else "account_id"
            cursor.execute(f"select count(*) from {table}")
            assert cursor.fetchone() == (0,), f"{table} without a scope"
            cursor.execute(f"begin; select set_config('jeoul.account', %s, true); select distinct {column} from {table}",
                           (str(acme_id),))
            assert {r[0] for r in cursor.fetchall()} <= {acme_id}, table
            cursor.execute("rollback")
        for table in ("host", "alarm", "event", "notification", "delivery", "host_contact"):
            cursor.execute(f"begin; select set_config('jeoul.account', %s, true); select count(*) from {table}", (str(acme_id),))
            assert cursor.fetchone() == (0,), table
            cursor.execute("rollback")
    # A foreign account can't be written either.
    with house.connect("jeoul_web") as db, pytest.raises(Exception, match="row-level security"):
        db.cursor().execute("begin; select set_config('jeoul.account', %s, true); insert into job (account_id, command, "
                            "object_kind, object_uuid) values (1, 'x', 'vm', gen_random_uuid())", (str(acme_id),))


def test_every_account_keyed_table_has_a_policy(house):
    missing = house.sql("""select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'account_id' and not a.attisdropped
        where n.nspname = 'jeoul' and c.relkind in ('r', 'p') and not c.relispartition and not c.relrowsecurity
        and has_table_privilege('jeoul_web', c.oid, 'select') and c.relname not in ('host', 'template')""")
    assert missing == []
    direct = house.sql("""select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = 'jeoul' and c.relispartition and has_table_privilege('jeoul_web', c.oid, 'select')""")
    assert direct == []


# ---- accounts, users

def test_account_is_checked_before_it_is_made(house):
    good = {"username": "u9", "password": "long-enough", "account": "a9"}
    for wrong, said in (({"password": "short"}, "8 to"), ({"locale": "fr"}, "en and ko"), ({"currency": "US$"}, "US$"),
                        ({"timezone": "Mars/Phobos"}, "Asia/Seoul"), ({"accounttype": 1}, "tenant"),
                        ({"domainid": str(uuid.uuid4())}, "domainid")):
        status = 404 if "domainid" in wrong else 400
        assert said in house.admin.rest("POST", "accounts", {**good, **wrong}, expect=status)["detail"], wrong
    assert house.sql("select count(*) from account where name = 'a9'") == [(0,)]
    taken = {**good, "username": "admin"}
    assert "already" in house.admin.rest("POST", "accounts", taken, expect=409)["detail"]
    assert house.sql("select count(*) from account where name = 'a9'") == [(0,)]


def test_new_keys_end_the_old_ones(house):
    tom = house.tenant("tom")
    fresh = tom.rest("POST", f"users/{tom.user}/keys", {}, expect=201)
    assert len(fresh["apikey"]) == len(fresh["secretkey"]) == 86
    tom.rest("GET", "zones", expect=401)
    assert Client(house, fresh["apikey"], fresh["secretkey"]).rest("GET", "zones")["count"] == 1
    assert "secretkey" not in json.dumps(house.admin.rest("GET", "users"))


def test_guessing_is_slowed_down(house, anybody):
    house.tenant("victim")
    body = json.dumps({"username": "victim", "password": "guess"})
    answers = [anybody.http("POST", "/v1/session", body, {"Content-Type": "application/json"}).status for _ in range(6)]
    assert answers == [401] * 5 + [429]


def test_session_ends_by_time_but_refresh_does_not_keep_it(house, anybody):
    login = anybody.http("POST", "/v1/session", json.dumps({"username": "acme", "password": "acme-password"}),
                         {"Content-Type": "application/json"})
    cookie = {"Cookie": "; ".join(v.split(";")[0] for v in login.headers.get_all("Set-Cookie"))}

    def age():
        house.sql("update session set last_used = now() - interval '20 minutes' where user_id = "
                  "(select id from app_user where name = 'acme')")

    def last_used():
        return house.sql("select max(extract(epoch from now() - last_used)) from session where user_id = "
                         "(select id from app_user where name = 'acme')")[0][0]

    age()
    assert anybody.http("GET", "/v1/zones", headers={**cookie, "X-Jeoul-Refresh": "1"}).status == 200
    assert last_used() > 1000
    assert anybody.http("GET", "/v1/zones", headers=cookie).status == 200
    assert last_used() < 60
    house.sql("update session set last_used = now() - interval '31 minutes'")
    assert anybody.http("GET", "/v1/zones", headers=cookie).status == 401


def test_writing_with_a_cookie_needs_the_csrf_header(house, anybody):
    login = anybody.http("POST", "/v1/session", json.dumps({"username": "acme", "password": "acme-password"}),
                         {"Content-Type": "application/json"})
    cookie = {"Cookie": "; ".join(v.split(";")[0] for v in login.headers.get_all("Set-Cookie")),
              "Content-Type": "application/json"}
    target, body = f"/v1/users/{login.json['userid']}", json.dumps({"email": "x@example.org"})
    assert anybody.http("PATCH", target, body, cookie).status == 401
    assert anybody.http("PATCH", target, body, {**cookie, "X-CSRF-Token": "guess"}).status == 401
    assert anybody.http("PATCH", target, body, {**cookie, "X-CSRF-Token": login.json["sessionkey"]}).status == 200


# ---- usage, tariffs, bills

def test_usage_is_cut_to_the_asked_time_exactly(acme, things):
    records = acme.rest("GET", "usage-records?startdate=2026-03-01&enddate=2026-03-01")["usagerecord"]
    by_type = {r["usagetype"]: r for r in records}
    assert set(by_type) == {1, 2, 4, 5, 6, 21, 22, 23, 24}
    assert by_type[1]["rawusage"] == "10.333333" and by_type[1]["usage"] == "10.333333 Hrs"
    assert by_type[4]["rawusage"] == str(3 * 9007199254740993)  # no double on the way
    assert by_type[24]["rawusage"] == str(3 * 9007199254740993)
    assert by_type[1]["virtualmachineid"] == things["acme"]["vm"] and by_type[6]["size"] == 1 << 30
    part = acme.cs("listUsageRecords", startdate="2026-03-01T00:30:00Z", enddate="2026-03-01T01:00:00Z", type=1)
    assert part["usagerecord"][0]["rawusage"] == "0.5"
    assert part["usagerecord"][0]["startdate"] == "2026-03-01T00:30:00+0000"
    assert acme.cs("listUsageRecords", startdate="2026-03-02", enddate="2026-03-03") == {}
    paged = acme.cs("listUsageRecords", startdate="2026-03-01", enddate="2026-03-01", page=2, pagesize=4)
    assert paged["count"] == 9 and len(paged["usagerecord"]) == 4


def test_tariffs_are_checked_versioned_and_assigned(house, acme):
    admin = house.admin
    first = admin.rest("POST", "tariffs", {"name": "plan", "document": PRICES}, expect=201)
    assert first["version"] == 1 and first["currency"] == "USD"
    assert admin.rest("POST", "tariffs", {"name": "plan", "document": PRICES}, expect=201)["version"] == 1
    dearer = json.loads(json.dumps(PRICES))
    dearer["prices"][0]["model"]["price"] = "0.0070"
    assert admin.cs("importTariff", name="plan", document=json.dumps(dearer), method="POST")["tariff"]["version"] == 2
    broken = json.loads(json.dumps(PRICES))
    broken["prices"][0]["modell"] = {}
    assert "modell" in admin.rest("POST", "tariffs", {"name": "plan", "document": broken}, expect=400)["detail"]
    assert "Unable" in admin.cs("importTariff", name="plan", expect=431)["errortext"]
    path = f"tariffs/{first['id']}/assignments"
    assert admin.rest("POST", path, {"account": "acme"}, expect=201)["tariffname"] == "plan"
    assert admin.rest("POST", path, {"account": "acme"}, expect=201)["tariffname"] == "plan"  # again changes nothing
    other = admin.rest("POST", "tariffs", {"name": "plan2", "document": PRICES}, expect=201)
    refused = admin.rest("POST", f"tariffs/{other['id']}/assignments", {"account": "acme"}, expect=409)
    assert "startdate" in refused["detail"]
    assert admin.rest("POST", path, {"account": "nobody"}, expect=404)
    assert house.sql("select count(*) from tariff_version v join tariff t on t.id = v.tariff_id where t.name = 'plan'") == [(2,)]


def test_bill_preview_is_ones_own(house, acme, hanok, things):
    bill = acme.rest("GET", "bill-preview")
    assert bill["account"]["name"] == "acme" and bill["tariff"]["name"] == "plan"
    assert isinstance(bill["total"], str) and re.fullmatch(r"\d+\.\d\d", bill["total"])
    assert hanok.cs("previewBill")["bill"]["account"]["name"] == "hanok"
    assert house.admin.rest("GET", f"bill-preview?accountid={acme.account}")["account"]["name"] == "acme"
    assert acme.rest("GET", "bill-preview?account=hanok", expect=403)
    assert [b["account"] for b in acme.rest("GET", "running-bills")["runningbill"]] == ["acme"]
    assert house.admin.rest("GET", "running-bills")["count"] == 2


# ---- jobs, with the real jeoul-provision over libvirt's test driver

@pytest.fixture(scope="module")
def provision(house):
    house.start("jeoul-provision", **{"hypervisor.start": "none"})
    yield
    if "jeoul-provision" in house.children:
        house.stop("jeoul-provision")


def job_end(client, answer):
    return until("the job ends", lambda: (j := client.cs("queryAsyncJobResult", jobid=answer["jobid"]))["jobstatus"] and j)


def test_host_life_through_the_api(house, provision):
    added = house.admin.cs("addHost", url="test:///default", name="toy", zoneid="-1")
    host = added["host"][0]
    assert host["state"] == "Up" and host["simulated"] is True and host["hypervisor"] == "Simulator"
    assert "already" in house.admin.cs("addHost", url="test:///default", expect=431)["errortext"]
    failed = house.admin.rest("POST", "hosts", {"url": "qemu+tcp://127.0.0.1:1/system"}, expect=502)
    assert "127.0.0.1" in failed["detail"]


def test_adopted_vm_is_assigned_and_driven_by_its_owner(house, provision, acme, hanok):
    adopted = until("the domain of the test driver is adopted",
                    lambda: house.admin.rest("GET", "virtual-machines?name=test")["virtualmachine"])[0]
    assert adopted["account"] == "unassigned" and adopted["adopted"] is True and adopted["simulated"] is True
    vm = house.admin.cs("assignVirtualMachine", virtualmachineid=adopted["id"], account="hanok")["virtualmachine"]
    assert vm["account"] == "hanok"
    assert acme.cs("stopVirtualMachine", id=vm["id"], expect=431)
    answer = hanok.cs("stopVirtualMachine", id=vm["id"], forced="true")
    assert set(answer) == {"jobid", "id"} and answer["id"] == vm["id"]
    end = job_end(hanok, answer)
    assert end["jobstatus"] == 1 and end["jobresultcode"] == 0 and end["cmd"] == "stopVirtualMachine"
    assert end["jobresult"]["virtualmachine"]["state"] == "Stopped"
    assert acme.cs("queryAsyncJobResult", jobid=answer["jobid"], expect=431)
    started = hanok.rest("POST", f"virtual-machines/{vm['id']}/start", {}, expect=202)
    assert job_end(hanok, started)["jobresult"]["virtualmachine"]["state"] == "Running"


def test_failed_deploy_tells_why(house, provision, acme):
    offering = house.admin.rest("GET", "service-offerings?name=small")["serviceoffering"][0]["id"]
    template = house.admin.rest("GET", "templates?name=guest")["template"][0]["id"]
    house.sql("update host set state = 'Unreachable' where not simulated")
    answer = acme.cs("deployVirtualMachine", method="POST", name="web9", serviceofferingid=offering, templateid=template)
    end = job_end(acme, answer)
    assert end["jobstatus"] == 2 and end["jobresult"]["errorcode"] == end["jobresultcode"] >= 431
    assert end["jobresult"]["errortext"]
    vm = house.admin.rest("GET", f"virtual-machines?id={answer['id']}")["virtualmachine"]
    assert not vm or vm[0]["account"] == "acme"


def test_second_job_on_one_vm_is_refused(house, acme, things):
    if "jeoul-provision" in house.children:
        house.stop("jeoul-provision")
    vm = things["acme"]["vm"]
    first = acme.cs("rebootVirtualMachine", id=vm)
    assert acme.cs("stopVirtualMachine", id=vm, expect=536)["cserrorcode"] == 4375
    assert acme.rest("POST", f"virtual-machines/{vm}/start", {}, expect=409)["kind"] == "conflict"
    shown = acme.cs("listVirtualMachines", id=vm)["virtualmachine"][0]
    assert shown["jobid"] == first["jobid"] and shown["jobstatus"] == 0
    house.sql("update job set state = 'failed', error_code = 530, error_text = 'test over' where uuid = %s", first["jobid"])


# ---- graphs

def test_graph_of_a_foreign_vm_is_not_found_and_an_unknown_one_is_empty(house, acme, hanok, things):
    vm = things["acme"]["vm"]
    assert acme.rest("GET", f"metrics/vm/{vm}")["data"] is None
    assert hanok.rest("GET", f"metrics/vm/{vm}", expect=404)
    assert acme.rest("GET", f"metrics/disk/{vm}", expect=400)
    assert acme.rest("GET", f"metrics/vm/{vm}?step=1", expect=400)
    assert acme.rest("GET", f"metrics/vm/{vm}?startdate=2026-01-02&enddate=2026-01-01", expect=400)


def test_graph_has_columns_of_real_samples(house, acme, things):
    vm = things["acme"]["vm"]
    house.graph_make(vm)
    answer = acme.rest("GET", f"metrics/vm/{vm}")
    data = answer["data"]
    seen = [v for v in data["series"]["cpu"] if v is not None]
    assert data["step"] == 10 and seen and all(abs(v - 50) < 0.1 for v in seen)
    assert None in data["series"]["cpu"]  # an hour was asked, a minute is known: a gap, not zero


def test_graph_with_a_forecast_where_there_are_days_enough(house, acme, things):
    vm = things["acme"]["vm"]
    now = int(time.time())
    asked = f"metrics/vm/{vm}?startdate={stamp(now - 43200)}&enddate={stamp(now + 43200)}&step=300&forecast=true"
    house.graph_days(vm, 1.5)
    data = acme.rest("GET", asked)["data"]
    assert data["forecast"] == {"why": "no forecast: 1.5 days are known, 3 without large gaps are needed"}
    assert any(data["series"]["cpu"])
    house.graph_days(vm, 5)
    data = acme.rest("GET", asked)["data"]
    cpu, seen = data["forecast"]["series"]["cpu"], data["series"]["cpu"]
    assert data["forecast"]["season"] == 86400 and len(cpu["expected"]) == len(cpu["low"]) == len(cpu["high"]) == len(seen)
    ahead = [i for i, v in enumerate(seen) if v is None and data["start"] + i * 300 > now]
    assert len(ahead) > 100, "half a day is ahead"
    for i in ahead[:-1]:
        will = 10 + abs((data["start"] + i * 300) % 86400 - 43200) // 1200
        assert abs(cpu["expected"][i] - will) < 6 and cpu["low"][i] <= cpu["expected"][i] <= cpu["high"][i], i
    plain = acme.rest("GET", f"metrics/vm/{vm}")["data"]
    assert "forecast" not in plain


def stamp(second):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


# ---- limits, and bad days

def test_too_large_bodies_are_refused(house, anybody):
    answer = anybody.http("POST", "/v1/session", "x" * (1024 * 1024 + 1), {"Content-Type": "application/json"})
    assert answer.status == 413
    many = "&".join(f"p{i}=x" for i in range(300))
    answer = anybody.http("POST", "/client/api", "command=listZones&response=json&" + many,
                          {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 430 and "256" in answer.text


def test_nonsense_on_the_wire_does_not_kill_it(house, anybody):
    for nonsense in (b"\x00\x01\x02", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST /v1/session HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                     b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\n\r\n", b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
                     b"GET /client/api?%00=%00&command=%ff HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", house.port), timeout=5) as s:
            s.settimeout(5)
            s.sendall(nonsense)
            try:
                s.shutdown(socket.SHUT_WR)
                while s.recv(4096):
                    pass
            except OSError:
                pass  # it may hang up on such callers
    assert anybody.http("GET", "/login").status == 200
    assert house.children["jeoul-web"].poll() is None


def test_slow_clients_do_not_stop_others(house, anybody):
    slow = [socket.create_connection(("127.0.0.1", house.port), timeout=5) for _ in range(60)]
    for s in slow:
        s.sendall(b"POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    begun = time.monotonic()
    for _ in range(5):
        assert anybody.http("GET", "/login").status == 200
    assert time.monotonic() - begun < 10, "they did not wait for a slow one's deadline"
    for s in slow:
        s.close()


def test_slow_calls_wait_in_a_lane_of_their_own(house, anybody):
    """addHost without jeoul-provision waits; four of them must not stop the pages."""
    ends = []

    def add(i):
        ends.append(house.admin.http("POST", "/v1/hosts", json.dumps({"url": f"test:///waits-{i}"}),
                                     {"Authorization": "Bearer " + ":".join(house.admin_key()), "Content-Type": "application/json"},
                                     timeout=60).status)

    threads = [threading.Thread(target=add, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    until("the jobs are there", lambda: house.sql("select count(*) from job where request->>'url' like 'test:///waits-%'")[0][0] >= 2)
    begun = time.monotonic()
    for _ in range(10):
        assert anybody.http("GET", "/login").status == 200
        assert house.admin.rest("GET", "zones")["count"] == 1
    assert time.monotonic() - begun < 10, "they did not wait for a job"
    until("the other two wait behind", lambda: house.sql("update job set state = 'failed', error_code = 530, error_text = 'test' "
          "where request->>'url' like 'test:///waits-%' and state = 'pending'") >= 0 and len(ends) == 4, deadline=30)
    for t in threads:
        t.join(timeout=30)
    assert ends == [502] * 4


def test_database_away_is_told_and_heals(house, anybody):
    house.database_stop()
    answer = anybody.http("GET", "/v1/zones", headers={"Authorization": "Bearer " + ":".join(house.admin_key())})
    assert answer.status == 503 and "database" in answer.json["detail"] and answer.headers["Retry-After"]
    assert house.admin.cs("listZones", expect=503)["errorcode"] == 503
    assert anybody.http("GET", "/login").status == 200
    house.database_start()
    until("it answers again", lambda: house.admin.http("GET", "/v1/zones", headers={
        "Authorization": "Bearer " + ":".join(house.admin_key())}).status == 200)
    assert house.children["jeoul-web"].poll() is None


def test_memory_stays_small(house):
    status = (f"/proc/{house.children['jeoul-web'].pid}/status")
    with open(status) as f:
        rss = int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1))
    assert rss < 14 * 1024, f"{rss} kB resident"


def test_it_stops_at_once_also_with_open_connections(house, anybody):
    idle = socket.create_connection(("127.0.0.1", house.port), timeout=5)
    idle.sendall(b"GET /login HTTP/1.1\r\nHost: x\r\n\r\n")
    begun = time.monotonic()
    assert house.stop("jeoul-web") == 0
    assert time.monotonic() - begun < 5
    idle.close()
    house.web_start()
    assert anybody.http("GET", "/login").status == 200


def test_a_restart_of_the_database_costs_an_idle_server_no_call(house):
    """Each thread has connections of its own, and all of them were open before."""
    def burst():
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: house.admin.rest("GET", "accounts"), range(64)))

    burst()
    house.database_stop()
    house.database_start()
    burst()
