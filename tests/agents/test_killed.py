"""kill -9 of a real process in the middle of each step of an agent."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.agents.worker import STEPS
from tests.crash.process import ROOT

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 60


def live(home: Path, deadly: int) -> tuple[int, str]:
    process = subprocess.run(
        [sys.executable, "-m", "tests.agents.worker", str(home), str(deadly)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr
    return process.returncode, process.stdout.strip()


@pytest.mark.parametrize("deadly", range(1, STEPS + 1))
def test_killed_in_a_step_only_what_was_interrupted_runs_again(deadly: int, tmp_path: Path) -> None:
    killed, _ = live(tmp_path, deadly)
    ended, said = live(tmp_path, 0)

    assert (killed, ended) == (-signal.SIGKILL, 0)
    assert said == "['A is broken', 'B is broken']"
    lines = (tmp_path / "effects").read_text().splitlines()
    begun = Counter(line.removeprefix("begin ") for line in lines if line.startswith("begin"))
    done = Counter(line.removeprefix("end ") for line in lines if line.startswith("end"))
    assert set(begun) == set(done) == {f"c-1/1/{number}" for number in range(1, STEPS + 1)}
    # A call that ran beside the one that died may have finished without its result on disk.
    assert begun.total() - len(begun) <= 2
    assert all(begun[key] == 1 for key in finished_before(lines, deadly))


def finished_before(lines: list[str], deadly: int) -> set[str]:
    """Steps that ended before the last one that began in the first life, each of them alone."""
    begins = [index for index, line in enumerate(lines) if line.startswith("begin")]
    fatal = lines[begins[deadly - 1]].removeprefix("begin ")
    side_by_side = {"c-1/1/2", "c-1/1/3"}
    before = lines[: begins[deadly - 1]]
    ends = {line.removeprefix("end ") for line in before if line.startswith("end")}
    return ends - (side_by_side if fatal in side_by_side else set())
