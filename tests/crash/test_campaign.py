"""What Adjourn promises holds when its process is killed, at any point, again and again."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.crash.campaign import WAYS_TO_DIE, Campaign
from tests.crash.mutants import MUTANTS

KILLS_EACH = 80
KILLS_SHORT = 24
KILLS_TO_CATCH_A_MUTANT = 300  # the first violation ends it; 60 once missed a window of a few ms


def broken_promises(campaign: Campaign) -> list[str]:
    """Which promise breaks first is chance: a lost end of a case shows as promise 5, a lost
    decision as 1 or 4. A worker that merely fails breaks none."""
    return [violation for violation in campaign.violations if violation.startswith("promise")]


def seed() -> int:
    """Another one in every run; CRASH_SEED repeats one."""
    return int(os.environ.get("CRASH_SEED") or time.time_ns() % 1_000_000)


@pytest.mark.crash
@pytest.mark.timeout(480)
@pytest.mark.parametrize("way", WAYS_TO_DIE)
def test_no_promise_is_broken_by_kills(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = Campaign(tmp_path, seed())

    campaign.run(KILLS_EACH, ways=[way])

    with capsys.disabled():
        sys.stdout.write(f"\n{way}: {campaign.figures()}\n")
    assert not campaign.violations, (campaign.figures(), campaign.violations)
    assert campaign.kills >= KILLS_EACH


@pytest.mark.slow
def test_no_promise_is_broken_by_a_short_campaign(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=7)

    campaign.run(KILLS_SHORT)

    assert not campaign.violations, (campaign.figures(), campaign.violations)
    assert campaign.kills >= KILLS_SHORT


@pytest.mark.crash
@pytest.mark.timeout(480)
@pytest.mark.parametrize("mutant", sorted(MUTANTS))
def test_a_planted_bug_is_caught(
    mutant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    campaign = Campaign(tmp_path, seed(), mutant=mutant)

    campaign.run(KILLS_TO_CATCH_A_MUTANT)

    with capsys.disabled():
        caught = campaign.violations[0] if campaign.violations else "NOT CAUGHT"
        sys.stdout.write(f"\n{mutant}: {campaign.figures()}\n  {caught}\n")
    assert broken_promises(campaign), (campaign.figures(), campaign.violations)


@pytest.mark.slow
def test_an_engine_that_acknowledges_before_the_commit_is_caught(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=7, mutant="acknowledge_before_commit")

    campaign.run(KILLS_TO_CATCH_A_MUTANT, ways=["written"])

    assert broken_promises(campaign), (campaign.figures(), campaign.violations)
