# SPDX-License-Identifier: Apache-2.0
"""The rater against the oracle of billing_house: running charges, kills, several raters."""
import json
import random
import signal
import time

import pytest

from billing_house import (LICENCES, PLAIN, SEOUL, Rater, Site, compare, db, generations, lease_runs_out, one,  # noqa: F401
                           rows, state, until)


@pytest.fixture(scope="module")
def site(db):
    s = Site(db, 20261121)
    berlin = s.account("berlin", "Europe/Berlin", PLAIN)
    s.vm(berlin, "web1", [(45, 2, 512)])
    s.vm(berlin, "web2", [(9, 1, 256), (6.5, 4, 1536), (3.25, None, 0), (0.7, 2, 768)])
    s.vm(berlin, "gone", [(20, 8, 4096), (0.01, None, 0)])
    seoul = s.account("seoul", "Asia/Seoul", SEOUL)
    s.vm(seoul, "db1", [(33, 3, 3000)])
    provider = s.account("provider", "UTC", LICENCES)
    for name, changes in {"kvm01": [(400, 2)], "kvm02": [(12.3, 2), (2.1, 4)]}.items():
        identity = s.uuid()
        edges = [s.ago(days) for days, _ in changes] + [None]
        for (_, sockets), begin, end in zip(changes, edges, edges[1:]):
            s.lifetime(provider, 900000 + len(name) + int(name[-1]), identity, name, "host", begin, end,
                       sockets=sockets)
    return s


def newer(db, site, than):
    return lambda: all(generations(db).get(a, 0) > than.get(a, 0) for a in site.accounts)


def test_running_charges_are_what_the_rules_say(db, state, site):
    with Rater(state) as rater:
        until(newer(db, site, {}))
        assert rater.process.poll() is None
    compare(db, site)


def test_usage_without_a_price_is_named(db, site):
    provider = max(site.accounts)
    assert one(db, "select unrated from accrual_run where account_id = %s", provider) == []
    berlin = min(site.accounts)
    unrated = one(db, "select unrated from accrual_run where account_id = %s order by period_from desc", berlin)
    assert set(unrated) == {"disk.read.bytes", "disk.read.requests", "disk.write.requests", "net.rx.bytes"}


def test_killed_at_any_moment_the_charges_are_right(db, state, site):
    dice = random.Random(7)
    before = generations(db)
    for _ in range(8):
        lease_runs_out(db)
        with Rater(state) as rater:
            time.sleep(dice.random() * 0.15)  # not waiting for anything: the moment is the dice's
            rater.kill()
    lease_runs_out(db)
    with Rater(state):
        until(newer(db, site, before))
        stable = generations(db)
        until(newer(db, site, stable))
    compare(db, site)


def shares(db):
    return {r["name"]: (r["holder"], r["epoch"]) for r in rows(db, "select * from lease where name like 'rater:%%' and expires > now()")}


def test_a_rater_that_slept_through_its_lease_writes_nothing_as_its_old_self(db, state, site):
    lease_runs_out(db)
    with Rater(state) as sleeper:
        before = generations(db)
        until(newer(db, site, before))
        old = shares(db)
        assert len({holder for holder, _ in old.values()}) == 1 and len(old) == 16
        sleeper.process.send_signal(signal.SIGSTOP)
        lease_runs_out(db)
        with Rater(state) as heir:
            until(lambda: all(shares(db).get(s, old[s])[1] > old[s][1] for s in old))
            before = generations(db)
            until(newer(db, site, before))
            sleeper.process.send_signal(signal.SIGCONT)
            before = generations(db)
            until(newer(db, site, before))
            assert all(now[1] > old[s][1] for s, now in shares(db).items())
            assert heir.process.poll() is None and sleeper.process.poll() is None
    compare(db, site)


def test_two_raters_share_the_accounts(db, state, site):
    lease_runs_out(db)
    with Rater(state) as one_rater, Rater(state) as other:
        def evenly():
            held = [holder for holder, _ in shares(db).values()]
            return len(held) == 16 and sorted(held.count(h) for h in set(held)) == [8, 8]
        until(evenly)
        before = generations(db)
        until(newer(db, site, before))
        assert one_rater.process.poll() is None and other.process.poll() is None
    compare(db, site)


def test_a_wrong_tariff_stops_only_its_own_account(db, state, site):
    lost = one(db, "insert into account (domain_id, name) select id, 'wrong' from domain where path = 'ROOT' returning id")
    tariff = one(db, "insert into tariff (name) values ('wrong') returning id")
    rows(db, "insert into tariff_version (tariff_id, version, document, sha256) values (%s, 1, %s, '')", tariff,
         json.dumps({"currency": "USD", "prices": [{"sku": "vcpu", "per": "hour", "modell": {}}]}))
    rows(db, "insert into account_tariff values (%s, '2020-01-01', %s)", lost, tariff)
    lease_runs_out(db)
    before = generations(db)
    with Rater(state) as rater:
        until(newer(db, site, before))
        rater.process.terminate()
        told = rater.process.communicate(timeout=10)[1].decode()
    assert f"account {lost}:" in told and 'unknown key "modell"' in told
    assert rows(db, "select 1 from accrual_run where account_id = %s", lost) == []
    compare(db, site)


def test_a_vm_given_away_leaves_its_earlier_consumption_with_its_first_owner(db, state, site):
    """assignVirtualMachine moves the vm row and begins new lifetimes; what was used before stays."""
    giver, taker = sorted(a for a, (zone, _) in site.accounts.items() if zone != "UTC")
    vm = rows(db, "select id, uuid from vm where account_id = %s and name = 'web1'", giver)[0]
    rows(db, "with closed as (update lifetime set valid_to = now(), close_reason = 'assigned' where account_id = %s "
         "and valid_to is null and (resource_id = %s or vm_id = %s) returning *) insert into lifetime (account_id, "
         "resource_id, kind, valid_from, resource_uuid, resource_name, vm_id, vcpus, memory_bytes, size_bytes, "
         "open_reason) select %s, resource_id, kind, valid_to, resource_uuid, resource_name, vm_id, vcpus, "
         "memory_bytes, size_bytes, 'assigned' from closed", giver, vm["id"], vm["id"], taker)
    rows(db, "update vm set account_id = %s where account_id = %s and id = %s", taker, giver, vm["id"])
    lease_runs_out(db)
    before = generations(db)
    with Rater(state):
        until(newer(db, site, before))
        stable = generations(db)
        until(newer(db, site, stable))
    compare(db, site)
    assert one(db, "select count(*) from accrual a join accrual_run r using (account_id, period_from, generation) "
               "where a.account_id = %s and a.resource_uuid = %s and a.sku = 'cpu.time' and a.quantity <> '0'",
               giver, vm["uuid"]) > 0
