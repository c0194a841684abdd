"""What a start refuses: one clear message with the next step, and nothing half made."""
import socket
import subprocess

import pytest

from conftest import BIN, Stack, run


@pytest.fixture
def fresh():
    s = Stack(hypervisor="none")
    yield s
    s.remove()


def start(s, *flags):
    return subprocess.run([BIN / "jeould", "--daemon", *flags], env=s.env, text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


def test_wrong_key_names_the_nearest(fresh):
    done = start(fresh, "--set", "web.listne=127.0.0.1:1")
    assert done.returncode == 2 and 'did you mean "web.listen"' in done.stderr
    assert not list(fresh.state.iterdir())


def test_wrong_value_says_what_to_write(fresh):
    conf = fresh.state.parent / (fresh.state.name + ".conf")
    conf.write_text("[meter]\nstep = 10\n")
    done = start(fresh, "--config", str(conf))
    conf.unlink()
    assert done.returncode == 2 and ":2:" in done.stderr and "60s" in done.stderr


def test_port_taken_names_the_holder(fresh):
    with socket.socket() as s:
        s.bind(("127.0.0.1", fresh.port))
        s.listen()
        done = start(fresh)
    assert done.returncode == 1 and "is taken by" in done.stderr and "pid" in done.stderr
    assert "web.listen" in done.stderr and fresh.status() is None


def test_disk_full(fresh):
    run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", fresh.state)
    try:
        done = start(fresh)
        assert done.returncode == 1 and "full" in done.stderr and "free some space" in done.stderr
        assert not list(fresh.state.iterdir()), "nothing half made"
    finally:
        run("umount", fresh.state)


def test_postgresql_missing_or_of_another_version(fresh):
    done = start(fresh, "--set", "database.bin=/nonexistent")
    assert done.returncode == 1 and "postgresql-15" in done.stderr
    assert not (fresh.state / "pg/data").exists()
    fresh.start()
    fresh.stop()
    (fresh.state / "pg/data/PG_VERSION").write_text("13\n")
    done = start(fresh)
    assert done.returncode == 1 and "PostgreSQL 13" in done.stderr and "PostgreSQL 15" in done.stderr


def test_newer_database_is_refused(fresh):
    fresh.start()
    fresh.sql("insert into schema_migration values (998, '998-future.sql', '')")
    fresh.stop()
    done = start(fresh)
    assert done.returncode == 1 and "refused" in done.stderr


def test_second_jeould_is_refused_and_stop_leaves_nothing(fresh):
    fresh.start()
    pids = [c["pid"] for c in fresh.status()["children"] if c["pid"]]
    done = start(fresh)
    assert done.returncode == 1 and "already" in done.stderr
    fresh.stop()
    alive = [p for p in pids if subprocess.run(["ps", "-o", "stat=", "-p", str(p)], text=True,
             capture_output=True).stdout.strip()[:1] not in ("", "Z")]
    assert not alive
