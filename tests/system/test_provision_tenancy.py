"""Who may have how much: limits at each level of the tree, taken by many at once; domains and projects."""
import concurrent.futures
import json

import pytest

from cloud import Cloud
from conftest import wait_for


@pytest.fixture(scope="module")
def cloud():
    c = Cloud(**{"provision.expunge_after": "1s"})
    try:
        c.begin()
        yield c
    finally:
        c.remove()


def tenant(cloud, name, *words):
    """An account with a user's keys."""
    account = cloud.jeoul("account", "create", name, "--username", name, "--password", "a long password", *words)
    keys = cloud.jeoul("user", "keys", cloud.jeoul("user", "list", "--username", name)[0]["id"])
    return account, keys


def ids(cloud):
    return (cloud.jeoul("offering", "list", "--name", "tiny")[0]["id"], cloud.jeoul("template", "list", "--name", "empty")[0]["id"])


def deploy(cloud, keys, name, **more):
    offering, template = ids(cloud)
    return cloud.rest(keys, "POST", "virtual-machines", {"name": name, "serviceofferingid": offering, "templateid": template,
                                                         "startvm": False, **more})


def jobs_end(cloud):
    wait_for("all jobs", lambda: cloud.sql("select count(*) from job where state in ('pending', 'running')")[0][0] == 0, 60)


def destroy_all(cloud, account):
    jobs_end(cloud)
    for v in cloud.jeoul("vm", "list", "--account", account):
        cloud.jeoul("vm", "destroy", v["id"], "--expunge", "true")


def test_sixty_four_clients_take_the_last_ten(cloud):
    """Two are there, twelve are allowed: of 64 that come at once exactly ten get one, the others are told."""
    account, keys = tenant(cloud, "crowd")
    for i in range(2):
        assert deploy(cloud, keys, f"old{i}")[0] == 202
    jobs_end(cloud)
    cloud.jeoul("limit", "set", "0", "--max", "12", "--account", "crowd")
    offering, template = ids(cloud)
    body = {"serviceofferingid": offering, "templateid": template, "startvm": False}
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda i: cloud.rest(keys, "POST", "virtual-machines", {"name": f"new{i}", **body}), range(64)))
    taken = [a for a in answers if a[0] == 202]
    refused = [json.loads(a[1]) for a in answers if a[0] != 202]
    assert len(taken) == 10 and len(refused) == 54, [a[0] for a in answers]
    assert all(r["kind"] == "limit" and "'user_vm' for account name=crowd" in r["detail"] for r in refused), refused[0]
    jobs_end(cloud)
    assert cloud.sql("select count(*) from vm where account_id = (select id from account where name = 'crowd')"
                     " and removed is null")[0][0] == 12
    shown = cloud.jeoul("account", "list", "--name", "crowd")[0]
    assert (shown["vmtotal"], shown["vmlimit"], shown["vmavailable"]) == (12, "12", "0")
    # What is destroyed is free at once.
    cloud.jeoul("vm", "destroy", cloud.jeoul("vm", "list", "--account", "crowd")[0]["id"])
    assert deploy(cloud, keys, "again")[0] == 202
    assert deploy(cloud, keys, "too-much")[0] == 409
    destroy_all(cloud, "crowd")


def test_a_domain_limits_all_below_it(cloud):
    """Accounts of two domains deep: the limit of the one above holds for both together, also when they come at once."""
    top = cloud.jeoul("domain", "create", "reseller")
    low = cloud.jeoul("domain", "create", "customer", "--parent", top["id"])
    assert low["path"] == "ROOT/reseller/customer" and low["level"] == 2
    _, a = tenant(cloud, "res-a", "--domain", top["id"])
    _, b = tenant(cloud, "res-b", "--domain", low["id"])
    cloud.jeoul("limit", "set", "8", "--max", "5", "--domain", top["id"])
    offering, template = ids(cloud)
    body = {"serviceofferingid": offering, "templateid": template, "startvm": False}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: cloud.rest((a, b)[i % 2], "POST", "virtual-machines", {"name": f"d{i}", **body}), range(16)))
    assert [x[0] for x in answers].count(202) == 5
    assert any("for domain id=" + top["id"] in x[1] for x in answers)
    counted = {c["resourcetypename"]: c["resourcecount"] for c in cloud.jeoul("limit", "count", "--domain", top["id"])}
    assert counted["cpu"] == 5 and counted["user_vm"] == 5 and counted["memory"] == 5 * 96
    refused = cloud.jeoul("domain", "delete", low["id"], check=False)
    assert refused.returncode != 0 and "it has accounts" in refused.stderr
    renamed = cloud.jeoul("domain", "rename", top["id"], "--name", "partner")
    assert renamed["path"] == "ROOT/partner"
    assert cloud.jeoul("domain", "list", "--name", "customer")[0]["path"] == "ROOT/partner/customer"
    destroy_all(cloud, "res-a")
    destroy_all(cloud, "res-b")


def test_every_kind_is_kept(cloud):
    _, keys = tenant(cloud, "narrow")
    jobs = lambda: jobs_end(cloud)  # noqa: E731

    def limit(kind, most):
        cloud.jeoul("limit", "set", str(kind), "--max", str(most), "--account", "narrow")

    def post(path, body, method="POST"):
        status, text = cloud.rest(keys, method, path, body)
        if status == 202:
            jobs()
        return status, json.loads(text)
    # memory, MiB
    limit(9, 100)
    assert deploy(cloud, keys, "one")[0] == 202
    jobs()
    assert "'memory' for account name=narrow" in deploy(cloud, keys, "two")[1]
    vm = cloud.jeoul("vm", "list", "--account", "narrow")[0]
    # a larger size counts from the moment that it is asked for
    cloud.jeoul("offering", "create", "wide", "--vcpus", "2", "--memory", "256", "--rootdisksize", "1")
    wide = cloud.jeoul("offering", "list", "--name", "wide")[0]["id"]
    status, answer = post(f"virtual-machines/{vm['id']}/scale", {"serviceofferingid": wide})
    assert status == 409 and "'memory'" in answer["detail"]
    limit(9, -1)
    # volumes, and their size
    limit(2, 2)
    assert post("volumes", {"size": 1, "name": "v"})[0] == 202
    assert "'volume'" in post("volumes", {"size": 1})[1]["detail"]
    limit(2, -1)
    limit(10, 3)
    volume = cloud.jeoul("volume", "list", "--account", "narrow", "--name", "v")[0]["id"]
    assert "'primary_storage'" in post(f"volumes/{volume}/resize", {"size": 3})[1]["detail"]
    assert post(f"volumes/{volume}/resize", {"size": 2})[0] == 202
    limit(10, -1)
    # snapshots, templates
    root = cloud.jeoul("volume", "list", "--account", "narrow", "--type", "ROOT")[0]["id"]
    limit(3, 1)
    assert post("snapshots", {"volumeid": root, "name": "s"})[0] == 202
    assert "'snapshot'" in post("snapshots", {"volumeid": root})[1]["detail"]
    limit(4, 0)
    snapshot = cloud.jeoul("snapshot", "list", "--account", "narrow")[0]["id"]
    assert "'template'" in post("templates/from-disk", {"name": "t", "snapshotid": snapshot})[1]["detail"]
    # a machine of somebody else's does not come past the limit either
    limit(4, -1)
    limit(0, 1)
    _, giver = tenant(cloud, "giver")
    assert deploy(cloud, giver, "gift")[0] == 202
    jobs()
    gift = cloud.jeoul("vm", "list", "--account", "giver")[0]["id"]
    refused = cloud.jeoul("vm", "assign", gift, "--account", "narrow", check=False)
    assert refused.returncode != 0 and "'user_vm' for account name=narrow" in refused.stderr
    assert [v["id"] for v in cloud.jeoul("vm", "list", "--account", "giver")] == [gift]
    destroy_all(cloud, "giver")
    limit(0, -1)
    # what is counted is what is there
    rows = {r["resourcetypename"]: r["used"] for r in cloud.jeoul("limit", "list", "--account", "narrow")}
    assert (rows["user_vm"], rows["volume"], rows["snapshot"], rows["primary_storage"]) == ("1", "2", "1", "3")
    cloud.jeoul("snapshot", "delete", snapshot)
    destroy_all(cloud, "narrow")
    cloud.jeoul("volume", "delete", volume)


def test_a_tenant_sees_and_changes_no_limits_of_others(cloud):
    _, keys = tenant(cloud, "curious")
    assert cloud.rest(keys, "PUT", "resource-limits", {"resourcetype": 0, "max": 1000})[0] in (401, 403)
    status, text = cloud.rest(keys, "GET", "resource-limits", None)
    assert status == 200 and {r["account"] for r in json.loads(text)["resourcelimit"]} == {"curious"}
    assert cloud.rest(keys, "GET", "resource-limits?account=acme", None)[0] in (401, 403)
    status, text = cloud.rest(keys, "GET", "domains", None)
    domain, = json.loads(text)["domain"]
    assert domain["path"] == "ROOT" and not {"vmtotal", "vmlimit", "cputotal"} & set(domain), "others are in ROOT too"


def test_project(cloud):
    """Two accounts work on the project's machine; a third one sees nothing of it."""
    _, one = tenant(cloud, "p-one")
    _, two = tenant(cloud, "p-two")
    _, three = tenant(cloud, "p-three")
    status, text = cloud.rest(one, "POST", "projects", {"name": "moon"})
    assert status == 201
    project = json.loads(text)["id"]
    assert deploy(cloud, two, "lander", projectid=project)[0] == 404
    assert cloud.rest(three, "POST", f"projects/{project}/members", {"account": "p-three"})[0] == 404
    assert cloud.rest(one, "POST", f"projects/{project}/members", {"account": "p-two"})[0] in (200, 201)
    assert deploy(cloud, two, "lander", projectid=project)[0] == 202
    jobs_end(cloud)
    for keys, seen in ((one, 1), (two, 1)):
        status, text = cloud.rest(keys, "GET", f"virtual-machines?projectid={project}", None)
        assert status == 200 and json.loads(text)["count"] == seen
    assert json.loads(cloud.rest(one, "GET", "virtual-machines", None)[1])["count"] == 0, "it is the project's"
    for keys in (one, two):
        shown, = json.loads(cloud.rest(keys, "GET", "projects", None)[1])["project"]
        assert shown["account"] == "p-one" and shown["vmtotal"] == 1
        assert [(m["account"], m["role"]) for m in shown["members"]] == [("p-one", "Admin"), ("p-two", "Regular")]
    assert json.loads(cloud.rest(three, "GET", "projects", None)[1])["count"] == 0
    assert cloud.rest(three, "GET", f"virtual-machines?projectid={project}", None)[0] == 404
    vm = json.loads(cloud.rest(one, "GET", f"virtual-machines?projectid={project}", None)[1])["virtualmachine"][0]
    assert cloud.rest(three, "POST", f"virtual-machines/{vm['id']}/start", {})[0] == 404
    assert cloud.rest(one, "POST", f"virtual-machines/{vm['id']}/start?projectid={project}", {})[0] == 202
    jobs_end(cloud)
    assert cloud.state_of(vm["id"]) == "Running"
    assert cloud.rest(one, "DELETE", f"projects/{project}", None)[0] == 409
    assert cloud.rest(one, "DELETE", f"virtual-machines/{vm['id']}?projectid={project}&expunge=true", None)[0] == 202
    jobs_end(cloud)
    assert cloud.rest(one, "DELETE", f"projects/{project}/members/p-two", None)[0] == 200
    assert cloud.rest(two, "GET", f"virtual-machines?projectid={project}", None)[0] == 404
    assert cloud.rest(one, "DELETE", f"projects/{project}", None)[0] == 200


def test_disabled_account(cloud):
    account, keys = tenant(cloud, "late-payer")
    offering, template = ids(cloud)
    assert deploy(cloud, keys, "runs", startvm=True)[0] == 202
    jobs_end(cloud)
    cloud.jeoul("account", "disable", account["id"], "--lock", "false")
    assert cloud.rest(keys, "GET", "virtual-machines", None)[0] == 401
    jobs_end(cloud)
    uuid = cloud.jeoul("vm", "list", "--account", "late-payer")[0]["id"]
    assert cloud.state_of(uuid) == "Stopped"
    cloud.jeoul("account", "enable", account["id"])
    assert cloud.rest(keys, "GET", "virtual-machines", None)[0] == 200
    destroy_all(cloud, "late-payer")
