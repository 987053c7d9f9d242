"""The compiled requirements hold what the projects ask for, with hashes, and no address."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = ["runtime", "dev"]


def lines_of(name: str) -> list[str]:
    """One entry per requirement: its continuation lines, which hold the hashes, joined."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8").replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def versions(name: str) -> dict[str, set[str]]:
    """Each package's pinned versions: two where a marker tells them apart."""
    found: dict[str, set[str]] = {}
    for line in lines_of(name):
        requirement = Requirement(line.split("--hash", 1)[0])
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        found.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return found


def project(path: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / path).read_text(encoding="utf-8"))


def asked_for(name: str) -> list[Requirement]:
    """The direct requirements of a set of pins, ourselves left out."""
    ours = project("pyproject.toml")
    agent = project("apps/support_agent/pyproject.toml")
    groups = ours["dependency-groups"]
    asked = [
        *ours["project"]["dependencies"],
        *ours["project"]["optional-dependencies"]["server"],
        *agent["project"]["dependencies"],
        *groups["build"],
    ]
    if name == "dev":
        asked += [line for line in groups["dev"] if isinstance(line, str)]
    requirements = [Requirement(line) for line in asked]
    return [requirement for requirement in requirements if requirement.name != "adjourn"]


@pytest.mark.parametrize("name", PINS)
def test_every_direct_requirement_is_pinned_within_its_bounds(name: str) -> None:
    pinned = versions(name)

    stale = [
        str(requirement)
        for requirement in asked_for(name)
        if not (found := pinned.get(canonicalize_name(requirement.name)))
        or not all(requirement.specifier.contains(version) for version in found)
    ]

    assert not stale, (
        f"requirements/{name}.txt is behind pyproject.toml on {stale}: run 'make pins'."
    )


@pytest.mark.parametrize("name", PINS)
def test_every_pin_has_a_hash_and_no_line_is_an_option(name: str) -> None:
    for line in lines_of(name):
        assert re.match(r"\w", line), f"An option or an address, not a pin: {line}"
        assert "--hash=sha256:" in line, f"No hash; run 'make pins': {line}"


def test_the_demo_runs_on_the_versions_that_the_tests_ran_on() -> None:
    runtime, dev = versions("runtime"), versions("dev")

    assert runtime.items() <= dev.items(), "The two sets differ: run 'make pins'."
