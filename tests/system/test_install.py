"""make install: what is put where works from there, without the source tree."""
import os
import shutil

import pytest

from conftest import TOP, Stack, run


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("root")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)  # the roles run as users of their own
    folder.parent.parent.chmod(0o755)
    run("make", "-s", "-C", TOP, "install", f"DESTDIR={folder}", seconds=120)
    return folder


def test_installed_programs_find_each_other(root, monkeypatch):
    import conftest
    s = Stack(hypervisor="none")
    bin_ = root / "usr/bin"
    try:
        run(root / "usr/sbin/jeould", "--daemon", env=s.env, seconds=90)
        run(root / "usr/libexec/jeoul/jeoul-first-admin", env=s.env)
        monkeypatch.setattr(conftest, "BIN", bin_)
        names = {c["name"] for c in s.jeoul("status")["children"]}
        assert {"postgres", "provision", "meter", "billing", "snmp", "web"} <= names
        said = run(bin_ / "jeoul", "doctor", env=s.env, check=False).stdout
        assert "program web" in said and "FAIL  data" not in said and "not installed" not in said, said
    finally:
        monkeypatch.undo()
        s.remove()


def test_unit_of_systemd(root, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is missing")
    unit = (root / "lib/systemd/system/jeould.service").read_text()
    assert "ExecStart=/usr/sbin/jeould\n" in unit
    copy = tmp_path / "jeould.service"
    copy.write_text(unit.replace("ExecStart=/usr", f"ExecStart={root}/usr"))
    done = run("systemd-analyze", "verify", "--man=no", copy, check=False)
    assert done.returncode == 0 and not [l for l in done.stderr.splitlines() if "jeould" in l], done.stderr


def test_pages_of_the_manual(root):
    for page in ("man1/jeoul.1", "man5/jeoul.conf.5", "man8/jeould.8"):
        assert os.path.getsize(root / "usr/share/man" / page) > 1000
