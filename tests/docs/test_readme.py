"""The README's code is the code that runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import support_agent.workflow

README = Path(__file__).parents[2] / "README.md"


def block_after(comment: str) -> str:
    found = re.search(
        rf"<!-- {re.escape(comment)}.*?-->\n```python\n(.*?)```", README.read_text("utf-8"), re.S
    )
    assert found is not None, f"README.md has no code block behind <!-- {comment} -->"
    return found.group(1)


def test_the_workflow_shown_first_is_the_one_that_the_support_agent_runs():
    source = Path(support_agent.workflow.__file__).read_text("utf-8")
    shown = block_after("workflow")

    assert shown in source
    assert 'return "approved"' in shown
    assert len(shown.splitlines()) <= 40


def test_the_first_program_prints_what_it_says_twice(tmp_path: Path):
    program = block_after("first program")
    code, expected = program.split("# Output:\n")
    (tmp_path / "first.py").write_text(code, "utf-8")

    runs = [
        subprocess.run(
            [sys.executable, "first.py"],
            cwd=tmp_path,
            env=os.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for _ in range(2)
    ]

    wanted = "".join(line.removeprefix("# ") + "\n" for line in expected.strip().splitlines())
    assert [run.stdout for run in runs] == [wanted, wanted], runs[0].stderr + runs[1].stderr
