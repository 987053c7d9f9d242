"""Every example runs and prints what it says it prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("[0-9]*.py"))


def test_there_is_one_for_each_pattern() -> None:
    assert [path.stem[:2] for path in EXAMPLES] == ["01", "02", "03", "04", "05"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_prints_what_it_says(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    said = [line[2:] for line in text.partition("\n# Output:\n")[2].splitlines()]

    run = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)

    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == said
