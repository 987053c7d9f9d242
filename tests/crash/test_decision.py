"""kill -9 at every crash point of a decision: not acknowledged, or applied exactly once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adjourn import UpdateConflictError
from adjourn.approvals import Approve
from adjourn.testing import CRASH_POINTS, CrashPoint
from tests.crash.decider import APPROVAL, LENA, make_app
from tests.crash.process import ROOT

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 60


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_killed_decision_is_unacknowledged_or_applied_once(
    point: CrashPoint, tmp_path: Path
) -> None:
    acknowledged = killed = 0
    for nth in range(1, 8):
        said, code = _run(tmp_path, point, nth)
        killed += code == -signal.SIGKILL
        acknowledged += bool(said)
        _check(tmp_path / str(nth), bool(said))
    assert killed >= 2, "the point was hardly reached"
    assert acknowledged < 7 or point == "published"


def _run(folder: Path, point: CrashPoint, nth: int) -> tuple[list[dict[str, object]], int]:
    home = folder / str(nth)
    home.mkdir()
    command = [sys.executable, "-m", "tests.crash.decider", str(home / "one.db")]
    process = subprocess.run(
        [*command, str(home / "effects"), point, str(nth)],
        cwd=ROOT,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert process.returncode in (0, -signal.SIGKILL), process.stderr.decode()
    lines = [json.loads(line) for line in process.stdout.splitlines()]
    return lines, process.returncode


def _check(home: Path, acknowledged: bool) -> None:
    app = make_app(str(home / "effects"))

    async def after() -> None:
        async with app.open(home / "one.db") as client:
            act = Approve(version=1, changes={"amount": 5})
            if acknowledged:  # another decision finds that one
                with pytest.raises(UpdateConflictError) as late:
                    await client.approvals.act(APPROVAL, act, by=LENA, action_id="click-2")
                assert late.value.details["by"] == ["lena"]
            answer = await client.approvals.act(APPROVAL, act, by=LENA, action_id="click-1")
            assert answer.status == "approved"
            assert await client.result("case-1") == 5
            events = [type(each.event).__name__ for each in await client.history(APPROVAL)]
            assert events.count("UpdateReceived") == 1

    asyncio.run(after())
    assert set((home / "effects").read_text().split()) == {APPROVAL}
