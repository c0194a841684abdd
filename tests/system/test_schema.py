"""The migrated schema keeps the rules of growth: it must also run on many nodes, by account."""
import psycopg2
import pytest

from conftest import Stack

# Each query answers the breaches of one rule, as text; none is fine.
RULES = {
    "class": """
        select relname || ': its comment must start with account_keyed:, reference: or local:' from tables
        where class is null""",
    "primary key": """
        select relname || ': an account_keyed table needs account_id in its primary key' from tables t
        where class = 'account_keyed' and relispartition is false and not exists (
            select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
            where i.indrelid = t.oid and i.indisprimary and a.attname = 'account_id')""",
    "unique": """
        select relname || ': unique index ' || i.indexrelid::regclass || ' without account_id'
        from tables t join pg_index i on i.indrelid = t.oid and (i.indisunique or i.indisexclusion)
        where class = 'account_keyed' and not exists (select from pg_attribute a
            where a.attrelid = i.indrelid and a.attnum = any (i.indkey) and a.attname = 'account_id')""",
    "exclusion": """
        select relname || ': ' || conname || ' is an exclusion constraint and no unique index guards the same'
        from tables t join pg_constraint c on c.conrelid = t.oid and contype = 'x'
        where class = 'account_keyed' and not exists (select from pg_index i where i.indrelid = t.oid
            and i.indisunique and not i.indisprimary and i.indpred is not null)""",
    "foreign key to a large table": """
        select t.relname || ': ' || conname || ' points at ' || f.relname || ', which is split by account'
        from tables t join pg_constraint c on c.conrelid = t.oid and contype = 'f' join tables f on f.oid = c.confrelid
        where f.class = 'account_keyed' and (t.class <> 'account_keyed' or not exists (
            select from pg_attribute a where a.attrelid = t.oid and a.attnum = any (c.conkey) and a.attname = 'account_id'))""",
    "trigger": """
        select relname || ': trigger ' || tgname from tables t join pg_trigger g on g.tgrelid = t.oid
        where not tgisinternal""",
    "float": """
        select r.relname || '.' || attname || ' is ' || format_type(atttypid, null)
        from relations r join pg_attribute a on a.attrelid = r.oid and attnum > 0 and not attisdropped
        where atttypid in ('float4'::regtype, 'float8'::regtype, 'money'::regtype)
        union all
        select p.oid::regprocedure || ' takes or gives ' || format_type(x, null)
        from pg_proc p cross join lateral unnest(coalesce(proallargtypes, proargtypes::oid[]) || prorettype) x
        where pronamespace = 'jeoul'::regnamespace
            and x in ('float4'::regtype, 'float8'::regtype, 'money'::regtype)""",
    "naive time": """
        select r.relname || '.' || attname || ' is ' || format_type(atttypid, null)
        from relations r join pg_attribute a on a.attrelid = r.oid and attnum > 0 and not attisdropped
        where atttypid in ('timestamp'::regtype, 'time'::regtype, 'timetz'::regtype)""",
    "ids": """
        select relname || '.' || attname || ' is ' || format_type(atttypid, null) || ': ids inside are bigint'
        from tables t join pg_attribute a on a.attrelid = t.oid and attnum > 0 and not attisdropped
        where (attname = 'id' or attname like '%\\_id') and atttypid <> 'bigint'::regtype and relname <> 'x'""",
    "tenants apart": """
        select relname || ': has account_id and no row-level security' from tables t
        where not relrowsecurity and not relispartition and exists (select from pg_attribute a
            where a.attrelid = t.oid and a.attname = 'account_id' and not attisdropped)""",
    "partitions": """
        select relname || ': jeoul_web reads a partition past the policy of its parent' from tables t
        where relispartition and has_table_privilege('jeoul_web', t.oid, 'select')""",
    "views": """
        select relname || ': a view without security_invoker sees past the tenant' from relations
        where relkind = 'v' and not coalesce('security_invoker=true' = any (reloptions), false)
            and coalesce(obj_description(oid), '') not like 'runs as the owner on purpose:%'""",
    "functions of the owner": """
        select p.oid::regprocedure || ': runs as the owner and is for everybody, or trusts temporary tables'
        from pg_proc p where pronamespace = 'jeoul'::regnamespace and prosecdef
            and (has_function_privilege('public', p.oid, 'execute')
                or not coalesce((select bool_or(c ~ '^search_path=.*pg_temp$') from unnest(proconfig) c), false))""",
}

# One breach of each rule.
PLANTS = {
    "class": "create table planted (id bigint primary key)",
    "primary key": """create table planted (id bigint primary key, account_id bigint);
        comment on table planted is 'account_keyed: x'""",
    "unique": "create unique index planted on vm (uuid)",
    "exclusion": "drop index lifetime_one_open",
    "foreign key to a large table": """create table planted (id bigint primary key, a bigint, b bigint,
        foreign key (a, b) references vm (account_id, id)); comment on table planted is 'local: x'""",
    "trigger": """create function planted() returns trigger language plpgsql as 'begin return new; end';
        create trigger planted before update on accrual execute function planted()""",
    "float": "alter table accrual add planted double precision",
    "naive time": "alter table lifetime add planted timestamp",
    "ids": "alter table vm add planted_id integer",
    "tenants apart": "alter table accrual disable row level security",
    "partitions": "grant select on usage_window_rest to jeoul_web",
    "views": "create view planted as select * from accrual",
    "functions of the owner": "create function planted() returns int language sql security definer as 'select 1'",
}
HEAD = """with relations as (
    select c.* from pg_class c where relnamespace = 'jeoul'::regnamespace and relkind in ('r', 'p', 'v', 'm')
), tables as (
    select r.*, substring(obj_description(r.oid, 'pg_class') from '^(account_keyed|reference|local): ') as class
    from relations r where relkind in ('r', 'p')
) """


@pytest.fixture(scope="module")
def schema():
    s = Stack(hypervisor="none")
    try:
        s.start()
        yield s
    finally:
        s.remove()


def breaches(cursor, rule):
    cursor.execute(HEAD + RULES[rule])
    return [row[0] for row in cursor.fetchall()]


@pytest.mark.parametrize("rule", RULES)
def test_rule_holds_and_would_see_its_breach(schema, rule):
    link = psycopg2.connect(schema.dsn("owner"))
    try:
        with link.cursor() as cursor:
            assert breaches(cursor, rule) == []
            cursor.execute(PLANTS[rule])
            assert breaches(cursor, rule) != [], "the rule is blind"
    finally:
        link.rollback()
        link.close()
