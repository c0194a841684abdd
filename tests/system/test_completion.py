"""Completions in the real bash and zsh: what `make install` puts there asks the very jeoul."""
import json
import re

import pytest

from conftest import BIN, TOP, Stack, run

OWN = [("tariff", "check"), ("tariff", "diff")]  # what needs no server
VERBS = OWN + re.findall(r'^VERB\("([\w-]+)", "([\w-]+)"', (TOP / "cli/verb.def").read_text(), re.M)

BASH = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_jeoul 2>/dev/null
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# What zsh would show is caught where _jeoul hands it over.
ZSH = """
compdef() {{ }}
_describe() {{ print -rl -- "${{(P@)2}}"; }}
_files() {{ print -r -- FILES; }}
source {script}
words=({words}); CURRENT=${{#words}}
_jeoul
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("completions")
    run("make", "-s", "-C", TOP, "install", f"DESTDIR={root}", seconds=120)
    return {"bash": root / "usr/share/bash-completion/completions/jeoul",
            "zsh": root / "usr/share/zsh/vendor-completions/_jeoul"}


def complete(installed, shell, *words, env=None):
    """What the shell would offer; the last word is as far as it is typed."""
    text = (BASH if shell == "bash" else ZSH).format(
        script=installed[shell], words=" ".join(f"'{w}'" for w in (BIN / "jeoul", *words)))
    flags = ["--norc", "-c"] if shell == "bash" else ["-f", "-c"]
    done = run(shell, *flags, text, env=env)
    assert done.stderr == "", done.stderr
    return [re.sub(r"(?<!\\):.*", "", line) for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_every_noun_and_verb_is_offered(installed, shell):
    nouns = {noun for noun, _ in VERBS}
    assert len(VERBS) > 20
    assert set(complete(installed, shell, "")) == nouns | {"status", "doctor", "config", "help", "completion"}
    for noun in sorted(nouns):
        assert set(complete(installed, shell, noun, "")) == {v for n, v in VERBS if n == noun}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_flags_values_and_files(installed, shell):
    flags = complete(installed, shell, "vm", "create", "web", "--")
    assert {"--offering", "--template", "--startvm", "--json"} <= set(flags)
    assert complete(installed, shell, "vm", "create", "web", "--startvm", "") == ["true", "false"]
    assert complete(installed, shell, "config", "explain", "web.l") == ["web.listen"]
    assert complete(installed, shell, "tariff", "import", "") == (["FILES"] if shell == "zsh" else [])


def test_names_are_asked_of_the_server(installed):
    s = Stack(hypervisor="none")
    try:
        s.start()
        run(BIN / "jeoul-first-admin", env=s.env)
        for name in ("tiny", "small", "two words"):
            s.jeoul("offering", "create", name, "--vcpus", "1", "--memory", "96")
        for shell in ("bash", "zsh"):
            assert sorted(complete(installed, shell, "vm", "create", "web", "--offering", "", env=s.env)) == ["small", "tiny"]
            assert complete(installed, shell, "vm", "create", "web", "--offering", "t", env=s.env) == ["tiny"]
        s.stop()
        assert complete(installed, "bash", "vm", "create", "web", "--offering", "t", env=s.env) == [], "and no noise"
    finally:
        s.remove()


def test_the_script_says_how_it_is_used():
    done = run(BIN / "jeoul", "completion", check=False)
    assert done.returncode == 2 and "source <(jeoul completion bash)" in done.stderr
    assert json.loads(run(BIN / "jeoul", "--json", "config", "show").stdout)  # a global flag first still works
