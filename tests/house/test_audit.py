"""`make audit` fails on what is vulnerable, and says so where nobody could be asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests/house/audit.py"
Audited = Callable[..., subprocess.CompletedProcess[str]]

SOUND = {"name": "apsw", "version": "3.54.1.0", "vulns": []}
SKIPPED = {"name": "wrapt", "skip_reason": "could not be audited"}
FIXED = {"id": "PYSEC-2026-1", "fix_versions": ["2.0", "1.9.1"], "aliases": []}
FOUND = {"name": "jinja2", "version": "1.0", "vulns": [FIXED, {"id": "GHSA-x", "fix_versions": []}]}


@pytest.fixture
def audited(tmp_path: Path) -> Audited:
    """The script, with a pip-audit that answers so."""

    def run(code: int, out: str = "", err: str = "", *files: str) -> Any:
        tool = tmp_path / "pip-audit"
        lines = [
            f"#!{sys.executable}",
            "import sys",
            f"open({str(tmp_path / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')",
            f"sys.stdout.write({out!r})",
            f"sys.stderr.write({err!r})",
            f"sys.exit({code})",
        ]
        tool.write_text("\n".join(lines))
        tool.chmod(0o700)
        return subprocess.run(
            [sys.executable, SCRIPT, *(files or ("pins.txt",))],
            env={**os.environ, "PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    return run


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_what_is_sound_passes_and_says_how_much_was_looked_at(audited: Audited) -> None:
    said = audited(0, answer(SOUND, SOUND))

    assert said.returncode == 0
    assert said.stdout == "pins.txt: no known vulnerability in 2 packages.\n"


def test_what_is_vulnerable_fails_and_says_what_fixes_it(audited: Audited) -> None:
    said = audited(1, answer(SOUND, FOUND))

    assert said.returncode == 1
    assert said.stdout.splitlines() == [
        "pins.txt: jinja2 1.0 is vulnerable: PYSEC-2026-1; fixed in 2.0, 1.9.1",
        "pins.txt: jinja2 1.0 is vulnerable: GHSA-x; there is no fix yet",
        "Take newer ones: make pins UPGRADE=1",
    ]


def test_one_that_is_vulnerable_fails_among_others_that_nobody_knows(audited: Audited) -> None:
    said = audited(1, answer(SKIPPED, FOUND))

    assert said.returncode == 1 and "NOT AUDITED: 1 of 2" in said.stdout


@pytest.mark.parametrize(
    ("code", "out", "err", "words"),
    [
        (0, answer(SOUND, SKIPPED), "", "1 of 2 packages of pins.txt"),
        (0, answer(*[SKIPPED] * 9), "", "9 of 9 packages of pins.txt"),
        (0, answer(), "", "there are none"),
        (1, "", "x\nrequests.exceptions.ProxyError: host", "pins.txt: the service"),
        (1, "", "requests.exceptions.ConnectionError: host", "pins.txt: the service"),
        (1, "", "requests.exceptions.ReadTimeout: host", "pins.txt: the service"),
        (1, "", "pip_audit._service.interface.ServiceError: 503", "pins.txt: the service"),
    ],
    ids=["one unknown", "all unknown", "empty", "proxy", "connection", "timeout", "service"],
)
def test_where_nobody_could_be_asked_one_line_says_so_and_it_passes(
    audited: Audited, code: int, out: str, err: str, words: str
) -> None:
    said = audited(code, out, err)

    assert said.returncode == 0 and said.stdout.count("\n") == 1
    assert said.stdout.startswith("NOT AUDITED: ") and words in said.stdout
    assert "host" not in said.stdout


@pytest.mark.parametrize("err", ["InvalidVersion: ''", "RequirementSourceError: no hash", ""])
def test_a_file_that_cannot_be_read_is_a_mistake_of_ours(audited: Audited, err: str) -> None:
    said = audited(1, "", err)

    assert said.returncode == 1 and "could not be read" in said.stdout


def test_every_file_is_looked_at_with_its_hashes_though_one_failed(
    audited: Audited, tmp_path: Path
) -> None:
    said = audited(1, answer(FOUND), "", "a.txt", "b.txt")

    asked = (tmp_path / "asked").read_text().splitlines()
    assert said.returncode == 1 and len(asked) == 2
    assert all("--require-hashes --requirement" in line for line in asked)


def test_nothing_to_look_at_is_no_all_clear(tmp_path: Path) -> None:
    for path, arguments in ((str(tmp_path), ["pins.txt"]), (os.environ["PATH"], [])):
        said = subprocess.run(
            [sys.executable, SCRIPT, *arguments], env={**os.environ, "PATH": path}, check=False,
            capture_output=True, timeout=30,
        )  # fmt: skip
        assert said.returncode == 1


def test_the_gate_asks_once_after_the_pins_have_changed() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    ask = re.search(r"^define ask_of_pins\n(.*?)^endef", makefile, re.MULTILINE | re.DOTALL)
    runs = re.findall(r"^make (\w+)$", (ROOT / ".ci/run").read_text("utf-8"), re.MULTILINE)

    assert ask is not None and "tests/house/audit.py requirements/*.txt" in ask[1]
    assert re.search(r"^audit: .*\n\t\$\(ask_of_pins\)$", makefile, re.MULTILINE)
    assert re.search(r"^check: .*\baudited\b.*##", makefile, re.MULTILINE)
    assert re.search(
        r"^\$\(VENV\)/\.audited: requirements/dev\.txt requirements/runtime\.txt .*"
        r"\n\t\$\(ask_of_pins\)$",
        makefile,
        re.MULTILINE,
    )
    assert runs == ["check", "test"]
