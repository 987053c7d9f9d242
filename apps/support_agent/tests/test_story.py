"""The demonstration, played for real: processes, HTTP, kill -9."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from support_agent.engine_process import Answer
from support_agent.shop.database import open_database
from support_agent.shop.ledger import LedgerEntry, Receipt
from support_agent.shop.messages import WrittenMessage
from support_agent.story import CASE, faults

DEMONSTRATION = [sys.executable, "-m", "support_agent.story"]
MOMENT = datetime(2026, 8, 1, tzinfo=UTC)
ENTRY = LedgerEntry(
    Receipt("RF-000001", CASE.id, CASE.order_number, CASE.amount, "EUR", MOMENT), "key", calls=2
)
MESSAGE = WrittenMessage("amina@example.org", "You get 64.50 EUR back.", MOMENT)
APPROVED = Answer(200, {"runtimeStatus": "Completed", "output": "approved"})


@pytest.mark.slow
def test_the_whole_story_pays_once_and_keeps_its_files(tmp_path: Path) -> None:
    kept = tmp_path / "story"

    run = subprocess.run(
        [*DEMONSTRATION, "--keep", str(kept)], capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "Killed 2 times. Paid once. Told once." in run.stdout
    assert "\x1b" not in run.stdout, "no colours where nobody looks at a terminal"
    engine = open_database(f"sqlite:///{kept / 'shop.db'}")
    with engine.connect() as connection:
        counted = [
            connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in ("refunds", "refund_calls", "messages")
        ]
    engine.dispose()
    assert counted == [1, 2, 1]
    assert (kept / "support.db").exists()


@pytest.mark.slow
def test_an_old_story_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "shop.db").write_text("precious", encoding="utf-8")

    run = subprocess.run(
        [*DEMONSTRATION, "--keep", str(tmp_path)], capture_output=True, text=True, timeout=60
    )

    assert run.returncode == 1
    assert "is not empty" in run.stdout
    assert (tmp_path / "shop.db").read_text(encoding="utf-8") == "precious"


def test_a_story_that_went_well_has_no_faults() -> None:
    assert faults(APPROVED, [ENTRY], [MESSAGE], shown=0) == []


@pytest.mark.parametrize(
    ("final", "ledger", "messages", "shown", "fault"),
    [
        (Answer(200, {"runtimeStatus": "Failed"}), [ENTRY], [MESSAGE], 0, "the workflow ended as"),
        (APPROVED, [], [MESSAGE], 0, "holds 0 refunds"),
        (APPROVED, [ENTRY, ENTRY], [MESSAGE], 0, "holds 2 refunds"),
        (APPROVED, [LedgerEntry(ENTRY.receipt, "key", 1)], [MESSAGE], 0, "called once only"),
        (APPROVED, [ENTRY], [], 0, "got 0 messages"),
        (APPROVED, [ENTRY], [MESSAGE, MESSAGE], 0, "got 2 messages"),
        (APPROVED, [ENTRY], [MESSAGE], 3, "ended with code 3"),
    ],
)
def test_each_thing_that_goes_wrong_is_named(
    final: Answer,
    ledger: list[LedgerEntry],
    messages: list[WrittenMessage],
    shown: int,
    fault: str,
) -> None:
    (found,) = faults(final, ledger, messages, shown)

    assert fault in found
