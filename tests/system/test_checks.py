"""Each question of sql/checks finds its breach, keeps silent on a healthy database, and doctor tells."""
import json
import os
import pathlib
import re
import signal

import pytest

from conftest import BIN, TOP, Stack, run

NAMES = sorted(p.stem for p in (TOP / "sql/checks").glob("*.sql"))

# One VM with a disk on one host, two hours of consumption, a price list and a bill that adds up.
HEALTHY = """
delete from domain where parent_id is not null; update domain set path = 'ROOT';
insert into host (id, account_id, zone_id, name, uri, state, sockets, cores) values (900, 1, 1, 'h', 'qemu:///x', 'Up', 2, 8);
insert into vm (account_id, id, uuid, name, instance_name, host_id, vcpus, memory_bytes, state, epoch)
    values (2, 901, '00000000-0000-4000-8000-000000000901', 'web', 'i-web', 900, 1, 1 << 30, 'Running', 'h/1');
update vm set held_host_id = 900, held_vcpus = 1, held_memory = 1 << 30, state_at = m(-200) where id = 901;
update host set vcpus_used = 1, memory_used = 1 << 30 where id = 900;
insert into host_history (host_id, valid_from, valid_to, sockets, cores, threads, memory_bytes, capabilities_sha256)
    values (900, m(-400), m(-350), 1, 4, 8, 1 << 30, ''), (900, m(-350), null, 2, 8, 16, 1 << 30, '');
insert into volume (account_id, id, uuid, vm_id, name, size_bytes)
    values (2, 902, '00000000-0000-4000-8000-000000000902', 901, 'web-root', 1 << 30);
insert into nic (account_id, id, vm_id, mac) values (2, 903, 901, '52:54:00:00:00:01');
insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid, resource_name, vm_id, host_id,
        vcpus, memory_bytes, size_bytes, sockets, cores, open_reason) values
    (2, 901, 'allocated', m(-300), null, '00000000-0000-4000-8000-000000000901', 'web', 901, 900, 1, 1 << 30, null, null, null, 'created'),
    (2, 901, 'running', m(-290), m(-200), '00000000-0000-4000-8000-000000000901', 'web', 901, 900, 1, 1 << 30, null, null, null, 'started'),
    (2, 901, 'running', m(-190), null, '00000000-0000-4000-8000-000000000901', 'web', 901, 900, 1, 1 << 30, null, null, null, 'started'),
    (2, 902, 'volume', m(-300), null, '00000000-0000-4000-8000-000000000902', 'web-root', 901, 900, null, null, 1 << 30, null, null, 'created'),
    (1, 900, 'host', m(-400), null, (select uuid from host where id = 900), 'h', null, 900, null, null, null, 2, 8, 'added');
insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
        cpu_ns, vcpu_ns, raw_cpu_ns, raw_vcpu_ns, samples) values
    (2, 901, m(-180), m(-120), 'vm', 901, m(-121), 'h/1', 500, 400, 1000, '{400,400}', 5),
    (2, 901, m(-120), m(-60), 'vm', 901, m(-60), 'h/1', 700, 90, 1700, '{450,440}', 5);
insert into usage_window (account_id, resource_id, window_from, window_to, resource_kind, vm_id, through, epoch,
        disk_write_bytes, raw_disk_write, disk_read_bytes, raw_disk_read, samples) values
    (2, 902, m(-180), m(-120), 'volume', 901, m(-121), 'h/1', 10, 10, 0, 0, 2),
    (2, 902, m(-120), m(-60), 'volume', 901, m(-70), 'h/1', 5, 15, 0, 0, 2);
insert into tariff (id, name) overriding system value values (900, 'p'), (901, 'gross');
insert into tariff_version (tariff_id, version, document, sha256, recorded_at)
    select 901, 1, d, encode(sha256(convert_to(d, 'UTF8')), 'hex'), m(-500) from (values ('{"tax":{"mode":"inclusive"}}')) d(d);
insert into tariff_version (tariff_id, version, document, sha256, recorded_at) values
    (900, 1, '{"currency":"USD"}', encode(sha256('{"currency":"USD"}'), 'hex'), m(-500)),
    (900, 2, '{"currency":"USD","prices":[]}', encode(sha256('{"currency":"USD","prices":[]}'), 'hex'), m(-400));
insert into accrual (account_id, period_from, line_key, period_to, sku, resource_uuid, tariff_id, tariff_version, currency,
        quantity, unit, exact, amount, through, generation) values
    (2, m(-1000), 'vcpu', m(1000), 'vcpu', '00000000-0000-4000-8000-000000000901', 900, 2, 'USD', '10/3', 'h', '10/3', 3.33, m(-1), 7),
    (2, m(-1000), 'disk', m(1000), 'disk', '00000000-0000-4000-8000-000000000902', 900, 2, 'USD', '2', 'GiB', '1.005', 1.00, m(-1), 7),
    (2, m(-1000), 'void', m(1000), 'gone', gen_random_uuid(), 900, 1, 'EUR', '2', 'GiB', '1.5', 9.00, m(-2), 6);
insert into accrual_run (account_id, period_from, period_to, through, generation, currency, subtotal, tax, total)
    values (2, m(-1000), m(1000), m(-1), 7, 'USD', 4.33, 0.82, 5.15);
insert into accrual (account_id, period_from, line_key, period_to, sku, tariff_id, tariff_version, currency,
        quantity, unit, exact, amount, through, generation) values
    (1, m(-1000), 'gross', m(1000), 'host', 901, 1, 'USD', '1', 'h', '1.19', 1.19, m(-1), 7);
insert into accrual_run (account_id, period_from, period_to, through, generation, currency, subtotal, tax, total)
    values (1, m(-1000), m(1000), m(-1), 7, 'USD', 1.00, 0.19, 1.19);
insert into billing_period (account_id, starts, ends, zone, tzdata, drawn_at, statement_id, closed_at, settled) values
    (2, '2026-01-01Z', '2026-02-01Z', 'UTC', 't', '2026-02-01T01:00Z', 901, '2026-02-01T02:00Z', 'p'),
    (2, '2026-02-01Z', '2026-03-01Z', 'UTC', 't', '2026-03-01T01:00Z', 902, '2026-03-01T02:00Z', 'p'),
    (2, '2026-03-01Z', m(1000), 'UTC', 't', null, null, null, null);
insert into statement (account_id, id, uuid, kind, issuer_id, series, year, number, name, period_from, period_to, issued_at,
        currency, subtotal, tax, total, due, document, sha256)
    select 2, id, ('00000000-0000-4000-8000-000000000' || id)::uuid, kind, 1, kind, 2026, number, '2026-' || number, since, until,
        until, 'USD', 5.00, tax, 5.00 + tax, due, document, encode(sha256(convert_to(document, 'UTF8')), 'hex')
    from (values (901, 'invoice', 1, '2026-01-01Z'::timestamptz, '2026-02-01Z'::timestamptz, 0.95, 2.95,
            '{"body":{"total":"5.95","lines":{"count":2},"taxes":[{"mode":"exclusive","tax":"0.95"}],
            "tariffs":[{"rounding":"half_even","step":"0.01"},{"rounding":"up","step":"0.05"}]}}'),
        (902, 'showback', 1, '2026-02-01Z', '2026-03-01Z', 0.80, 5.80,
            '{"body":{"total":"5.80","lines":{"count":1},"taxes":[{"mode":"inclusive","tax":"0.80"}]}}'))
        s(id, kind, number, since, until, tax, due, document);
insert into statement_line (account_id, statement_id, line_no, document) values
    (2, 901, 1, '{"kind":"charge","sku":"vcpu","exact":"10.485/3","amount":"3.50","tariff":0}'),
    (2, 901, 2, '{"kind":"charge","sku":"disk","exact":"1.4501","amount":"1.50","tariff":1}'),
    (2, 902, 1, '{"sku":"vcpu","amount":"5.80"}');
insert into statement_number (issuer_id, series, year, number, account_id, statement_id) values
    (1, 'invoice', 2026, 1, 2, 901), (1, 'showback', 2026, 1, 2, 902);
insert into ledger_entry (account_id, posting_key, at, debit, credit, currency, amount, reason, statement, corrects) values
    (2, 's/1', m(0), 'receivable', 'revenue/compute', 'USD', 5.00, '', '00000000-0000-4000-8000-000000000901', null),
    (2, 's/2', m(0), 'receivable', 'tax/standard', 'USD', 0.95, '', '00000000-0000-4000-8000-000000000901', null),
    (2, 's/3', m(0), 'prepaid', 'receivable', 'USD', 3.00, '', '00000000-0000-4000-8000-000000000901', null),
    (2, 'p/1', m(0), 'cash', 'prepaid', 'USD', 3.00, '', null, null), (2, 'p/2', m(0), 'cash', 'receivable', 'USD', 9.00, '', null, null),
    (2, 'r/1', m(0), 'receivable', 'cash', 'USD', 9.00, '', null, 'p/2');
insert into usage_meter (sku, unit, kind) values ('object.storage', 'GiB', 'level'), ('support.hours', 'hour', 'amount');
insert into usage_import (account_id, source, record, sku, unit, kind, used_from, used_to, quantity, seq, resource,
        resource_uuid, resource_name, corrects, received_at) values
    (2, 's3', 'a', 'object.storage', 'GiB', 'level', m(-300), null, 5, 0, 'b', '00000000-0000-4000-8000-000000000904', 'b', null, m(-200)),
    (2, 's3', 'b', 'object.storage', 'GiB', 'level', m(-300), m(-100), 5, 1, 'b', '00000000-0000-4000-8000-000000000904', 'b', 'a', m(-60)),
    (2, 'desk', 'x', 'support.hours', 'hour', 'amount', m(-300), null, 2.5, 0, null, '00000000-0000-4000-8000-000000000905', 'c', null, m(-60)),
    (2, 'desk', 'y', 'support.hours', 'hour', 'amount', m(-300), null, 2.5, 1, null, '00000000-0000-4000-8000-000000000905', 'c', 'w', m(-60));
insert into meter_gap (account_id, resource_id, gap_from, gap_to, reason, uuid) values
    (2, 901, m(-60), m(-59), 'r', '00000000-0000-4000-8000-000000000906'), (2, 902, m(-70), m(-65), 'r', '00000000-0000-4000-8000-000000000907');
insert into meter_gap_act (account_id, resource_id, gap_from, number, verdict, sku, record, reason, user_name) values
    (2, 901, m(-60), 1, 'used', 'cpu.time', 'g/cpu.time', 'why', 'admin'), (2, 902, m(-70), 1, 'nothing', null, null, 'why', 'admin');
insert into usage_import (account_id, source, record, sku, unit, kind, used_from, quantity, resource, resource_uuid, resource_name, received_at)
    values (2, 'jeoul.gap', 'g/cpu.time', 'cpu.time', 'vCPU-second', 'amount', m(-60), 60, '00000000-0000-4000-8000-000000000901',
        '00000000-0000-4000-8000-000000000901', 'web', m(-50));
insert into usage_import_key (source, record, account_id) select source, record, account_id from usage_import;
insert into accrual (account_id, period_from, line_key, period_to, sku, resource_uuid, tariff_id, tariff_version, currency,
        quantity, unit, exact, amount, through, generation) values
    (2, m(-1000), 'desk', m(1000), 'support.hours', '00000000-0000-4000-8000-000000000905', 900, 2, 'USD', '2.5', 'hour', '0', 0, m(-1), 7);
select chain_tariffs(m(0)), chain_period(2, '2026-01-01Z', m(0)), chain_period(2, '2026-02-01Z', m(0));
select chain_append('entry', account_id || '/' || posting_key, entry_digest(e), m(0)) from ledger_entry e;
insert into usage_balance values (2, '2026-03-01Z', 'vcpu', 7, 3, 2, 1, 1, m(0), 7);
insert into account_standing values (2, 'USD', true, 10, 0, 8.5, 85, 'near', 'warn', m(500), m(0), 7);
insert into billing_trouble values (2, null, m(-500)), (1, 'a new one', now());
insert into billing_calendar values ('UTC', 'day', '2026-01-01Z', '2026-01-02Z'), ('UTC', 'day', '2026-01-02Z', '2026-01-03Z');
insert into alarm (id, rule, object_kind, object_name, severity, text, raised_at, cleared_at) overriding system value
    values (900, 'r', 'host', 'h', 'major', 't', m(-10), m(-5)), (901, 'r', 'host', 'g', 'major', 't', m(-10), null);
insert into notification (alarm_id, kind, at, severity, text) values (900, 'raise', m(-10), 'major', ''),
    (900, 'clear', m(-5), 'major', ''), (901, 'raise', m(-10), 'major', '');
insert into job (account_id, command, object_kind, object_uuid, state, created, finished) values
    (2, 'x', 'vm', gen_random_uuid(), 'succeeded', m(-50), m(-49)), (2, 'x', 'vm', gen_random_uuid(), 'pending', now(), null);
"""

# What breaks it: by check, one breach or several.
BREACHES = {
    "lifetime_overlap": [
        "alter table lifetime drop constraint {exclusion}; update lifetime set valid_to = m(-180) where valid_to is not null",
        "insert into lifetime select (r).* from (select l #= hstore('account_id', '1') as r from lifetime l where kind = 'volume') x"],
    "lifetime_within_allocated": [
        "update lifetime set valid_from = m(-310) where kind = 'running' and valid_to is not null",
        "update lifetime set valid_to = m(-100) where kind = 'allocated'",
        "delete from lifetime where kind = 'allocated'"],
    "lifetime_of_the_dead": [
        "update vm set removed = now(), state = 'Destroyed'", "update vm set state = 'Stopped'",
        "update volume set removed = now()", "update host set removed = now()", "delete from volume"],
    "living_without_lifetime": [
        "update lifetime set valid_to = now() where kind = 'running' and valid_to is null",
        "update lifetime set valid_to = now() where kind = 'allocated'", "delete from lifetime where kind = 'volume'",
        "delete from lifetime where kind = 'host'"],
    "lifetime_without_size": [
        "update lifetime set vcpus = null where kind = 'running'", "update lifetime set memory_bytes = 0 where kind = 'allocated'",
        "update lifetime set size_bytes = null where kind = 'volume'", "update lifetime set sockets = null where kind = 'host'"],
    "collector_hosts": [
        "update collector set expires = now() + interval '1 hour', started = now() - interval '2 minutes'; "
        "update host set created = now() - interval '2 minutes' where id = 900",
        "update collector set expires = now() + interval '1 hour', started = now() - interval '2 minutes'; update host set created = now() "
        "- interval '2 minutes'; insert into host_lease select id, 0, now() - interval '2 minutes' from host on conflict do nothing",
        "update collector set expires = now() + interval '1 hour', started = now() - interval '2 minutes'; "
        "insert into collector (name, turn, session, machine, started, seen, clean, expires, backend, backend_start) select 'gone', "
        "nextval('collector_turn'), '', '', now(), now(), now(), now() - interval '2 minutes', 1, now(); "
        "update host set created = now() - interval '2 minutes'; "
        "insert into host_lease select h.id, c.turn, now() - interval '2 minutes' from host h, collector c where c.name = 'gone'"],
    "window_bounds": [
        "update usage_window set window_to = window_to + interval '1 second' where resource_kind = 'volume'",
        "update usage_window set through = window_from where raw_cpu_ns = 1700",
        "update usage_window set through = window_to + interval '1 us' where raw_cpu_ns = 1700",
        "update usage_window set window_from = m(60), window_to = m(120), through = m(119) where raw_cpu_ns = 1700"],
    "window_overlap": [
        "update usage_window set window_from = m(-121) where raw_cpu_ns = 1700",
        "update usage_window set through = m(-121) where raw_cpu_ns = 1700"],
    "window_counters": [
        "update usage_window set cpu_ns = 699 where raw_cpu_ns = 1700", "update usage_window set vcpu_ns = 91 where raw_cpu_ns = 1700",
        "update usage_window set disk_write_bytes = 6 where raw_disk_write = 15",
        "update usage_window set disk_read_bytes = 1 where raw_disk_write = 15"],
    "window_without_lifetime": ["update usage_window set account_id = 1 where raw_cpu_ns = 1700",
                                "update usage_window set vm_id = 999 where resource_kind = 'volume'"],
    "accrual_without_usage": ["update accrual set resource_uuid = gen_random_uuid() where line_key = 'vcpu'",
                              "update lifetime set account_id = 1 where kind = 'volume'",
                              "insert into usage_import select (i).* from (select u #= hstore('record', 'z') #= hstore('corrects', 'x') "
                              "#= hstore('resource_uuid', gen_random_uuid()::text) as i from usage_import u where record = 'x') z; "
                              "insert into usage_import_key values ('desk', 'z', 2)"],
    "accrual_sum": ["update accrual set amount = 3.34 where line_key = 'vcpu'", "update accrual set amount = 1.00 where line_key = 'gross'", "update accrual_run set total = 5.16 where account_id = 2",
                    "update accrual_run set currency = 'EUR' where account_id = 2", "delete from accrual where line_key = 'disk'",
                    "update accrual set through = m(-2) where line_key = 'disk'"],
    "statement_sum": ["update statement_line set document = '{\"amount\":\"3.51\"}' where statement_id = 901 and line_no = 1",
                      "delete from statement_line where line_no = 2", "update statement set total = 6.00 where id = 901",
                      "update statement set tax = 0.96, total = 5.96 where id = 901", "update statement set due = 5.96 where id = 901",
                      "update statement set document = replace(document, '5.95', '5.94')",
                      "update statement_line set document = '{\"amount\":\"5.00\"}' where statement_id = 902"],
    "statement_number": ["delete from statement_number where series = 'invoice'", "update statement_number set number = 2",
                         "update statement_number set statement_id = 903 where series = 'showback'"],
    "period_order": ["update billing_period set ends = '2026-02-02Z' where starts = '2026-01-01Z'",
                     "delete from billing_period where starts = '2026-02-01Z'",
                     "update billing_period set closed_at = null where starts = '2026-01-01Z'",
                     "update billing_period set statement_id = 902 where starts = '2026-01-01Z'"],
    "ledger_statement": ["delete from ledger_entry where posting_key = 's/2'", "update ledger_entry set amount = 5.01 where posting_key = 's/1'",
                         "update statement set kind = 'showback'"],
    "ledger_balance": ["delete from ledger_entry where posting_key = 'p/1'", "update ledger_entry set amount = 8 where posting_key = 'r/1'",
                       "delete from ledger_entry where posting_key = 'p/2'"],
    "billing_balance": ["update usage_balance set received = 8", "update usage_balance set rated = 4", "update usage_balance set rejected = 0"],
    "billing_period_waits": ["update billing_period set ends = now() - interval '49 hours' where closed_at is null"],
    "billing_statement_rounding": [
        "update statement_line set document = replace(document, '10.485/3', '10.4849/3') where line_no = 1",
        "update statement_line set document = replace(document, '1.4501', '1.4499') where line_no = 2"],
    "billing_chain": ["update tariff_version set document = document || ' ' where tariff_id = 900 and version = 1",
                      "delete from ledger_entry where posting_key = 'p/2'", "update statement set due = due - 1 where id = 901",
                      "update billing_period set closed_at = closed_at + interval '1 s' where starts = '2026-01-01Z'",
                      "delete from chain where seq = (select max(seq) from chain)", "update chain set at = m(1) where seq = 2"],
    "billing_standing": ["update account_standing set used_percent = 79", "update account_standing set action = 'stop'",
                         "update account_standing set used_percent = 100, level = 'over', action = 'stop', lock_at = null, through = m(-60)",
                         "update account_standing set used_percent = 100, level = 'over', action = 'warn'"],
    "billing_unbilled": ["update billing_trouble set since = now() - interval '11 minutes' where account_id = 1"],
    "accrual_bounds": ["update accrual_run set through = m(1001)", "update accrual set generation = 8 where line_key = 'disk'",
                       "delete from accrual_run", "update accrual_run set through = m(130)"],
    "accrual_rounding": ["update accrual set exact = '10.5/3' where line_key = 'vcpu'",
                         "update accrual set exact = '1.0151' where line_key = 'disk'"],
    "import_key": ["delete from usage_import_key where record = 'a'", "delete from usage_import where record = 'x'",
                   "update usage_import set account_id = 1 where record = 'x'"],
    "import_meter": ["update usage_import set kind = 'level' where record = 'x'",
                     "update usage_import set unit = 'day' where record = 'x'"],
    "import_correction": ["update usage_import set seq = 1 where record = 'a'"],
    "gap_correction": [
        "update meter_gap_act set record = 'h/cpu.time' where verdict = 'used'", "delete from meter_gap_act where verdict = 'used'",
        "update meter_gap_act set number = 2 where verdict = 'nothing'",
        "update usage_import set used_from = m(-59) where source = 'jeoul.gap'",
        "update usage_import set resource_uuid = gen_random_uuid() where source = 'jeoul.gap'",
        "update usage_import set quantity = 60.000001 where source = 'jeoul.gap'"],
    "import_pending": ["update usage_import set received_at = now() - interval '8 days', used_from = now() - interval '9 days' "
                       "where record = 'y'"],
    "import_time": ["update usage_import set used_from = m(60) where record = 'x'",
                    "update usage_import set used_from = '2025-12-31T23:59:59Z' where record = 'x'"],
    "tariff_text": ["update tariff_version set document = replace(document, 'USD', 'EUR') where tariff_id = 900 and version = 1",
                    "delete from tariff_version where tariff_id = 900 and version = 1",
                    "update tariff_version set recorded_at = m(-600) where version = 2"],
    "calendar_overlap": ["insert into billing_calendar values ('UTC', 'day', '2026-01-01T12:00Z', '2026-01-02T12:00Z')"],
    "vm_twice": ["insert into vm select (r).* from (select v #= hstore('account_id', '1') as r from vm v) x",
                 "update volume set vm_id = 77", "update nic set account_id = 1"],
    "provision_capacity": ["update host set vcpus_used = 2", "update vm set held_memory = 5", "update vm set held_host_id = null",
                           "update vm set move_host_id = held_host_id, move_vcpus = 1"],
    "provision_held": [
        "update vm set held_vcpus = 2; update host set vcpus_used = 2",
        "update vm set held_host_id = null; update host set vcpus_used = 0, memory_used = 0",
        "update vm set move_host_id = held_host_id",
        "update vm set state = 'Stopped'; update lifetime set valid_to = now() where kind = 'running' and valid_to is null"],
    "provision_host_history": ["update host_history set sockets = 3 where valid_to is null", "delete from host_history",
                               "update host_history set valid_to = m(-340) where valid_to is not null"],
    "reservation_left": ["update volume set wanted_bytes = 2::bigint << 30", "update volume set state = 'Creating'"],
    "vm_without_host": ["update host set removed = now() where id = 900; update lifetime set valid_to = now() where kind = 'host'"],
    "domain_tree": ["update domain set path = 'TOP' where parent_id is null",
                    "insert into domain (parent_id, name, path) select id, 'lost', 'ROOT/elsewhere' from domain where parent_id is null"],
    "simulated_shown": ["update host set simulated = true", "update usage_window set simulated = true where raw_cpu_ns = 1700"],
    "alarm_told": ["delete from notification where kind = 'clear'", "delete from notification where alarm_id = 901",
                   "update alarm set cleared_at = null where id = 900"],
    "job_stuck": ["update job set due = now() - interval '11 minutes' where state = 'pending'",
                  "update job set state = 'running', lease_until = now() - interval '6 minutes' where state = 'pending'",
                  "update job set finished = null where state = 'succeeded'"],
}


@pytest.fixture(scope="module")
def base():
    s = Stack(hypervisor="none", checked=False, **{"billing.interval": "1h"})
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        # Minutes from the start of this hour, which may be in the future.
        s.sql("""create function m(n integer) returns timestamptz language sql stable as
            $$ select date_trunc('hour', now()) + n * interval '1 minute' $$; create extension hstore""")
        # What is planted is in tables that are empty now, or that the first round of billing filled.
        s.planted = ["accrual", "accrual_run", "billing_calendar", "billing_period", "usage_balance", "account_standing",
                     "billing_trouble", "chain"] + [
            t for t, in s.sql("""select relname from pg_class where relnamespace = 'jeoul'::regnamespace
                and relkind in ('r', 'p') and not relispartition order by 1""")
            if not s.sql(f"select exists (select from {t})")[0][0]]
        # The others would mend what is planted: a stale job, an old round of billing.
        for role in ("provision", "meter", "billing", "snmp"):
            os.kill(s.child(role)["pid"], signal.SIGSTOP)
        yield s
    finally:
        for child in (s.status() or {"children": []})["children"]:
            if child["name"] in ("provision", "meter", "billing", "snmp") and child["pid"]:
                os.kill(child["pid"], signal.SIGCONT)
        s.remove()


@pytest.fixture
def healthy(base):
    filled = base.sql(" union all ".join(f"select '{t}' where exists (select from {t})" for t in base.planted))
    # Quicker than truncate by the files that one would make anew; in any order without foreign keys.
    base.sql("set session_replication_role = replica; " + "; ".join(f"delete from {t}" for t, in filled)
             + "; update chain_head set seq = 0, hash = 'jeoul'")
    base.sql(HEALTHY)
    return base


def test_every_check_has_its_breach_here_and_says_what_to_do():
    assert NAMES == sorted(BREACHES) and len(NAMES) >= 24
    for name in NAMES:
        text = (TOP / f"sql/checks/{name}.sql").read_text()
        head = re.match(r"-- \S.*?\n-- A row means: \S.*?\n-- To do: \S.*?\n(?!--)", text, re.S)
        assert head, f"{name}: its head must say what holds, what a row means, and what to do"


def test_a_healthy_database_has_no_breach(healthy):
    assert healthy.check() == []
    rows = [healthy.sql(f"select count(*) from {t}")[0][0] for t in ("lifetime", "usage_window", "accrual", "alarm", "job", "statement", "ledger_entry", "billing_period")]
    assert min(rows) > 0, "nothing was asked about nothing"


@pytest.mark.parametrize("name,number", [(n, i) for n in NAMES for i in range(len(BREACHES.get(n, [])))])
def test_planted_breach_is_found(healthy, name, number):
    breach = BREACHES[name][number]
    constraint = "lifetime_account_id_resource_id_kind_tstzrange_excl"
    healthy.sql(breach.replace("{exclusion}", constraint))
    try:
        found = healthy.check(name)
        assert [c["check"] for c in found] == [name]
        assert found[0]["first"] and found[0]["means"] and found[0]["try"]
    finally:
        if "{exclusion}" in breach:
            healthy.sql("truncate lifetime")
            healthy.sql(f"""alter table lifetime add constraint {constraint} exclude using gist (account_id with =,
                resource_id with =, kind with =, tstzrange(valid_from, valid_to) with &&)""")


def test_doctor_tells_the_breach_and_what_to_do(healthy):
    healthy.sql("update accrual_run set total = 6")
    done = run(BIN / "jeoul", "doctor", env=healthy.env, check=False)
    line = next(l for l in done.stdout.splitlines() if "accrual_sum" in l)
    assert line.startswith("FAIL") and done.returncode == 7
    assert "try: wait for one round of billing" in done.stdout and "total=6" in done.stdout
    verdicts = json.loads(run(BIN / "jeoul", "--json", "doctor", env=healthy.env, check=False).stdout)
    told = {v["check"]: v for v in verdicts}
    assert told["data accrual_sum"]["verdict"] == "FAIL" and "data" not in told
    healthy.sql("update accrual_run set total = subtotal + tax")
    verdicts = json.loads(run(BIN / "jeoul", "--json", "doctor", env=healthy.env, check=False).stdout)
    assert [v["found"] for v in verdicts if v["check"] == "data"] == [f"all {len(NAMES)} checks of usage and charges hold"]


def test_the_tool_reads_only_and_says_when_it_could_not_ask(healthy, tmp_path):
    assert run(BIN / "jeoul-check", "no_such_check", env=healthy.env, check=False).returncode == 2
    text = run(BIN / "jeoul-check", "accrual_sum", env=healthy.env)
    assert text.stdout == "OK    accrual_sum\n"
    gone = run(BIN / "jeoul-check", "--set", f"state={tmp_path}", env=healthy.env, check=False)
    assert gone.returncode == 3 and "database" in gone.stderr
    denied = run("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", BIN / "jeoul-check",
                 env=healthy.env, check=False) if pathlib.Path("/usr/bin/setpriv").exists() else None
    assert denied is None or denied.returncode == 3
