"""What a start refuses: one clear message with the next step, and nothing half made."""
import os
import signal
import socket
import subprocess

import pytest

from conftest import BIN, Stack, free_port, run, wait_for


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
    for _ in range(50):  # a start that failed is over when it says so
        done = start(fresh, "--set", "database.bin=/nonexistent")
        assert done.returncode == 1 and "postgresql-15" in done.stderr, done.stderr
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


def test_reload_takes_all_of_it_or_nothing(fresh):
    """SIGHUP: a new address is served at once; what can't be leaves the old settings in force."""
    conf = fresh.state.parent / (fresh.state.name + ".conf")
    other, taken = free_port(), socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    del fresh.env["JEOUL_WEB_LISTEN"]

    def answers(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def hang_up(listen, more=""):
        conf.write_text(f"[web]\nlisten = 127.0.0.1:{listen}\n{more}")
        os.kill(fresh.status()["pid"], signal.SIGHUP)

    def log():
        return (fresh.state / "log/jeould.log").read_text()

    try:
        conf.write_text(f"[web]\nlisten = 127.0.0.1:{fresh.port}\n")
        assert start(fresh, "--config", str(conf)).returncode == 0
        hang_up(other, "[meter]\nstep = 10\n")
        wait_for("the refusal", lambda: log().count("the old configuration stays in force") == 1)
        hang_up(other, "[database]\nurl = postgresql://nowhere:1/x\n")
        wait_for("the second refusal", lambda: "a change of database.url needs jeould to be stopped" in log())
        hang_up(taken.getsockname()[1])
        wait_for("the third refusal", lambda: "is taken by" in log())
        assert answers(fresh.port) and not answers(other)
        hang_up(other)
        wait_for("the new address", lambda: answers(other) and not answers(fresh.port))
        wait_for("all programs", fresh.ready)
    finally:
        taken.close()
        conf.unlink()
