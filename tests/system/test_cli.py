"""The jeoul command: statuses that scripts rely on, JSON that parses, errors that say what to do."""
import json
import os
import re
import subprocess

import pytest

from conftest import BIN, TOP, Stack, free_port, run


def jeoul(*words, **settings):
    """Without any jeould: an empty state folder of its own unless settings say otherwise."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("JEOUL_")}
    return subprocess.run([BIN / "jeoul", *map(str, words)], env=clean | settings, text=True,
                          capture_output=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture
def nowhere(tmp_path):
    return {"JEOUL_STATE": str(tmp_path), "JEOUL_WEB_LISTEN": f"127.0.0.1:{free_port()}"}


@pytest.fixture(scope="module")
def server():
    """jeould with its database and API, no hypervisor: the command needs none."""
    s = Stack(hypervisor="none")
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        run(BIN / "jeoul", "tariff", "import", TOP / "billing/presets/small-hoster.json", env=s.env)
        s.jeoul("tariff", "assign", "small-hoster", "--account", "admin")
        yield s
    finally:
        s.remove()


def three_lines(text):
    return [line.split(":")[0] for line in text.splitlines()] == ["error", "why", "try"]


def test_help_and_version_go_to_standard_output(nowhere):
    for words, found in ((["--help"], "usage: jeoul"), (["help", "vm"], "jeoul vm create"),
                         (["--version"], "jeoul ")):
        done = jeoul(*words, **nowhere)
        assert done.returncode == 0 and found in done.stdout and not done.stderr


@pytest.mark.parametrize("slip, noun", [("vmm", "vm"), ("hosts", "host"), ("acount", "account"), ("tarif", "tariff"),
                                        ("bil", "bill"), ("docter", "doctor"), ("offring", "offering")])
def test_a_slip_of_the_finger_is_told_the_nearest_noun(nowhere, slip, noun):
    done = jeoul(slip, "list", **nowhere)
    assert done.returncode == 2 and not done.stdout
    assert three_lines(done.stderr) and f'"jeoul {noun}"' in done.stderr


def test_unknown_flag_is_refused_before_any_call(nowhere):
    done = jeoul("vm", "create", "x", "--bogus", "1", **nowhere)
    assert done.returncode == 2 and three_lines(done.stderr) and "--bogus" in done.stderr


def test_no_key_is_denied(nowhere):
    done = jeoul("vm", "list", **nowhere)
    assert done.returncode == 5 and three_lines(done.stderr) and "JEOUL_API_KEY" in done.stderr


def test_a_user_without_rights_is_told_of_sudo(server):
    for words in (["status"], ["vm", "list"]):
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", str(BIN / "jeoul"), *words], text=True,
                              env=server.env, capture_output=True, timeout=30)
        assert done.returncode == 5 and three_lines(done.stderr) and "sudo" in done.stderr.splitlines()[2]


def test_no_server_is_unreachable(nowhere):
    keys = {"JEOUL_API_KEY": "a", "JEOUL_SECRET_KEY": "secret-of-a-test"}
    done = jeoul("vm", "list", **nowhere, **keys)
    assert done.returncode == 6 and three_lines(done.stderr)
    assert "secret-of-a-test" not in done.stderr, "no secret is ever told"


def test_wrong_setting_is_refused_with_the_nearest(nowhere):
    done = jeoul("--set", "web.lissten=1", "config", "check", **nowhere)
    assert done.returncode == 2 and 'did you mean "web.listen"' in done.stderr


def test_config_is_shown_with_its_origin_and_without_secrets(nowhere):
    done = jeoul("--json", "--set", "snmp.community=topsecret", "config", "show", **nowhere)
    shown = json.loads(done.stdout)
    assert shown["state"] == {"value": nowhere["JEOUL_STATE"], "origin": "environment JEOUL_STATE"}
    assert shown["meter.step"]["origin"] == "default" and shown["snmp.community"]["origin"] == "flag"
    assert "topsecret" not in done.stdout


def test_doctor_without_anything_finds_problems_and_says_what_mends_them(nowhere):
    done = jeoul("--json", "doctor", **nowhere)
    checks = json.loads(done.stdout)
    assert done.returncode == 7 and {c["verdict"] for c in checks} <= {"OK", "WARN", "FAIL"}
    bad = [c for c in checks if c["verdict"] != "OK"]
    assert bad and all(c["try"] for c in bad)


def test_doctor_of_a_running_system(server):
    done = server.jeoul("doctor", check=False)
    checks = {c["check"]: c for c in json.loads(done.stdout)}
    assert len(checks) >= 20 and done.returncode == 0, [c for c in checks.values() if c["verdict"] == "FAIL"]
    assert all(checks[f"program {r}"]["verdict"] == "OK" for r in ("meter", "provision", "billing", "snmp", "web"))
    assert checks["hosts"]["verdict"] == "WARN" and "host add" in checks["hosts"]["try"]


def test_lists_are_json_and_tables_have_a_head(server):
    names = {a["name"] for a in server.jeoul("account", "list")}
    assert "admin" in names and server.jeoul("vm", "list") == []
    done = run(BIN / "jeoul", "account", "list", env=server.env)
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["name", "state"] and "\033" not in done.stdout
    assert {line.split()[0] for line in lines[1:]} == names


def test_bill_has_amounts_as_strings(server):
    bill = server.jeoul("bill", "preview", "--account", "admin")
    assert isinstance(bill["total"], str) and isinstance(bill["lines"], list)


def test_a_name_that_is_not_there_is_not_found(server):
    done = server.jeoul("vm", "stop", "no-such-vm", check=False)
    assert done.returncode == 3 and three_lines(done.stderr) and "no-such-vm" in done.stderr


def test_a_wrong_secret_is_denied(server):
    done = jeoul("vm", "list", JEOUL_STATE=str(server.state), JEOUL_URL=server.url,
                 JEOUL_API_KEY="no", JEOUL_SECRET_KEY="no")
    assert done.returncode == 5 and three_lines(done.stderr)


def test_manual_pages_tell_every_verb_and_every_setting(tmp_path, nowhere):
    run(TOP / "docs/man/build", tmp_path)
    page = {p.name: p.read_text().replace("\\&", "").replace("\\", "") for p in tmp_path.iterdir()}
    assert set(page) == {"jeoul.1", "jeould.8", "jeoul.conf.5"}
    for noun, verb in re.findall(r'^VERB\("(\w+)", "(\w+)"', (TOP / "cli/verb.def").read_text(), re.M):
        assert f"fBjeoul {noun} {verb}fR" in page["jeoul.1"], (noun, verb)
    shown = json.loads(jeoul("--json", "config", "show", **nowhere).stdout)
    assert shown and all(f"fB{key}fR" in page["jeoul.conf.5"] for key in shown)
