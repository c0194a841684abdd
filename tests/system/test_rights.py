"""Who may write what: each program's database role tries everything, PostgreSQL refuses the rest.

A table of money or usage that is not named here may be appended to and nothing else.
"""
import psycopg2
import pytest

from conftest import Stack

ROLES = ("provision", "meter", "billing", "snmp", "web")
# May change in every way, by the roles that its rights name: they say what is, not what was.
PRESENT = {"domain", "account", "app_user", "session", "zone", "host", "host_contact", "offering", "template",
           "vm", "vm_guest", "volume", "nic", "job", "lease", "alarm", "delivery", "tariff", "schema_migration",
           "meter_refused", "meter_grain", "collector", "host_lease", "host_pool", "host_network", "host_cell", "issuer", "billing_terms", "billing_trouble", "budget",
           "storage_pool", "disk_offering", "template_copy", "snapshot", "snapshot_policy", "vm_snapshot", "network",
           "tag", "key_pair", "pod", "cluster", "affinity_group", "affinity_member",
           "resource_kind", "resource_limit", "project", "project_member", "usage_sum", "usage_sum_run", "disk_left"}
# Rows may leave these: log-ins, leases and what tenants pin on their things are no history.
DELETE = {("web", "session"), ("web", "usage_right"), ("billing", "meter_grain"), ("web", "tag"), ("web", "key_pair"), ("web", "snapshot_policy"),
          ("web", "affinity_group"), ("web", "affinity_member"), ("web", "resource_limit"),
          ("web", "project_member"), ("web", "domain"), ("provision", "affinity_member"),
          ("provision", "snapshot_policy"), ("provision", "template_copy"), ("provision", "disk_left"), ("meter", "host_lease"),
          # A cache of what stands in usage_window, and notes of what it lacks.
          ("billing", "usage_sum"), ("billing", "usage_sum_run"), ("billing", "usage_touched")} | {
          (r, "lease") for r in ("provision", "meter", "billing", "snmp")}
# Of what says money or usage only this may change: an open end, once, and absolute states that
# go forward (the statements say "where excluded.through > through"; setup/rules holds them to it).
CHANGE = {
    ("provision", "host_history"): {"valid_to"},
    ("provision", "lifetime"): {"valid_to", "close_reason"},
    ("meter", "usage_window"): "all but the key",
    ("billing", "accrual"): "all but the key",
    ("billing", "account_standing"): "all but the key",
    ("billing", "usage_balance"): "all but the key",
    ("billing", "budget_state"): "all but the key",
    ("billing", "billing_request"): {"state", "answer", "finished"},
    ("billing", "billing_period"): {"drawn_at", "statement_id", "draft", "settled", "closed_at",
                                     "looked_at"},
    ("billing", "accrual_run"): "all but the key",
}
KEYS = {"resource_kind", "vm_id"}  # of usage_window: belong to its key
INSERT = {"lifetime": {"provision"}, "host_history": {"provision"}, "usage_window": {"meter"}, "meter_gap": {"meter"}, "meter_gap_act": {"web"},
          "host_evidence": {"meter"}, "billing_calendar": {"billing"}, "accrual": {"billing"}, "accrual_run": {"billing"},
          "billing_period": {"billing"}, "statement": {"billing"}, "statement_line": {"billing"},
          "statement_number": {"billing"}, "ledger_entry": set(), "credit_grant": set(), "chain": set(),
          "chain_head": set(), "tariff_version": {"web"}, "account_tariff": {"web"}, "usage_meter": {"web"},
          "usage_right": {"web"}, "usage_import": {"web"}, "usage_import_key": {"web"}, "notification": {"snmp"},
          "account_standing": {"billing"}, "usage_balance": {"billing"}, "budget_state": {"billing"}, "billing_request": {"web"},
          "usage_touched": {"meter"}}


@pytest.fixture(scope="module")
def rights():
    s = Stack(hypervisor="none")
    try:
        s.start()
        yield s
    finally:
        s.remove()


def tables(stack):
    """Every table, partitions too, with its columns and which of them are its key."""
    found = {}
    for table, column, key in stack.sql("""
            select c.relname, a.attname, exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary
                and a.attnum = any (i.indkey))
            from pg_class c join pg_attribute a on a.attrelid = c.oid and attnum > 0 and not attisdropped
            where c.relnamespace = 'jeoul'::regnamespace and c.relkind in ('r', 'p') order by 1, a.attnum"""):
        found.setdefault(table, {})[column] = key or (table == "usage_window" and column in KEYS)
    return found


def allowed(cursor, statement):
    """Whether PostgreSQL lets this role run it; nothing is changed."""
    cursor.execute("savepoint before")
    try:
        cursor.execute(statement)
        return True
    except psycopg2.errors.InsufficientPrivilege as error:
        return "row-level security" in str(error)  # the right is there, the empty row is nobody's
    except psycopg2.errors.IntegrityError:  # looked at after the rights
        return True
    finally:
        cursor.execute("rollback to before")


@pytest.mark.parametrize("role", ROLES)
def test_history_is_not_rewritten(rights, role):
    wrong, asked = [], 0
    link = psycopg2.connect(rights.dsn(role))
    with link.cursor() as cursor:
        for table, columns in tables(rights).items():
            for verb, statement, may in (
                    ("delete", f"delete from {table} where false", (role, table) in DELETE),
                    ("truncate", f"truncate {table}", False)):
                asked += 1
                if allowed(cursor, statement) != may:
                    wrong.append(f"{verb} {table}: {'refused' if may else 'let through'}")
            if table in PRESENT:
                continue
            asked += len(columns)
            change = CHANGE.get((role, table), set())
            if change == "all but the key":
                change = {column for column, key in columns.items() if not key}
            for column in columns:
                if allowed(cursor, f"update {table} set {column} = default where false") != (column in change):
                    wrong.append(f"update {table}.{column}: {'refused' if column in change else 'let through'}")
            may = role in INSERT.get(table, ())
            if table in INSERT and allowed(cursor, f"insert into {table} default values") != may:
                wrong.append(f"insert into {table}: {'refused' if may else 'let through'}")
    link.rollback()
    link.close()
    print(f"{role}: {asked} statements tried")
    assert wrong == [] and asked > 100


def test_interval_is_closed_once(rights):
    rights.sql("""insert into lifetime (account_id, resource_id, kind, valid_from, valid_to, resource_uuid,
        resource_name, open_reason) values (1, 4711, 'running', '2026-01-01Z', '2026-01-02Z', gen_random_uuid(),
        'shut', 'started'), (1, 4712, 'running', '2026-01-01Z', null, gen_random_uuid(), 'open', 'started')""")
    try:
        change = "update lifetime set valid_to = '2026-01-03Z' where resource_name = '{}' returning 1"
        assert rights.sql(change.format("shut"), role="provision") == []
        assert rights.sql(change.format("open"), role="provision") == [(1,)]
        assert rights.sql(change.format("open"), role="provision") == [], "a second end"
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            rights.sql("""insert into lifetime (account_id, resource_id, kind, valid_from, resource_uuid,
                resource_name, open_reason) values (1, 4713, 'running', now(), gen_random_uuid(), 'x', 'started')""",
                       role="meter")
        rights.sql("update lifetime set valid_to = null where resource_name = 'shut'")  # the owner may: to mend
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            rights.sql("update lifetime set close_reason = 'x' where resource_name = 'shut'", role="provision")
    finally:
        rights.sql("delete from lifetime where resource_id between 4711 and 4713")


def test_a_missing_right_would_be_seen(rights):
    """The grid is asked of PostgreSQL, not of this file: a right too many shows."""
    rights.sql("grant update (amount) on accrual to jeoul_meter")
    try:
        link = psycopg2.connect(rights.dsn("meter"))
        with link.cursor() as cursor:
            assert allowed(cursor, "update accrual set amount = null where false")
        link.close()
    finally:
        rights.sql("revoke update (amount) on accrual from jeoul_meter")
