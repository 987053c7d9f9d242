"""A durable peer on the same work, the same disk and the same run, for `approval.py --peers`."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

from _measuring import Report

try:
    from dbos import DBOS, SetWorkflowID
except ImportError:
    sys.exit("--peers needs DBOS: install `dbos` (3.4 was measured) into this environment.")

CASES = 500
SEVEN_DAYS = 7 * 24 * 3600
LOOKS = 100_000


def approval_of(peer: Any, pending: list[str]) -> Callable[[str], Coroutine[Any, Any, str]]:
    """The same workflow, written for DBOS."""

    @peer.step()
    async def update_case(case: str, status: str) -> None:
        if status == "pending":
            pending.append(case)

    @peer.step()
    async def issue_refund(case: str) -> str:
        return f"refund of {case}"

    @peer.step()
    async def notify(case: str, text: str) -> None:
        pass

    @peer.workflow()
    async def approval_case(case: str) -> str:
        await update_case(case, "pending")
        approved = await peer.recv_async("Approval", timeout_seconds=SEVEN_DAYS)
        if not approved:
            return "rejected"
        await update_case(case, "approved")
        await issue_refund(case)
        await notify(case, "approved")
        return "approved"

    return approval_case


async def run(peer: Any, name_next: Any, workflow: Any, pending: list[str]) -> tuple[float, float]:
    """Seconds until all wait, and from there until all are done."""

    async def start(case: str) -> Any:
        with name_next(case):
            return await peer.start_workflow_async(workflow, case)

    cases = [f"case-{number}" for number in range(CASES)]
    begun = time.perf_counter()
    handles = await asyncio.gather(*map(start, cases))
    for _ in range(LOOKS):
        if len(pending) == CASES:
            break
        await asyncio.sleep(0.005)
    waiting = time.perf_counter()
    await asyncio.gather(*(peer.send_async(case, True, "Approval") for case in cases))
    results = await asyncio.gather(*(handle.get_result() for handle in handles))
    assert set(results) == {"approved"}
    return waiting - begun, time.perf_counter() - waiting


def dbos_approval(where: Path, report: Report, ours: float) -> None:
    """DBOS on SQLite with the write-ahead log: as shipped, with a rollback journal, it is slower.
    SQLite's own default makes it synchronous=FULL, as we are."""
    file = where / "dbos.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA journal_mode = WAL")
    database.close()
    address = f"sqlite:///{file}"
    DBOS(
        config={
            "name": "approval",
            "system_database_url": address,
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )
    pending: list[str] = []
    workflow = approval_of(DBOS, pending)

    async def launched() -> tuple[float, float]:
        DBOS.launch()
        return await run(DBOS, SetWorkflowID, workflow, pending)

    try:
        starting, approving = asyncio.run(launched())
    finally:
        DBOS.destroy()
    rate = CASES / (starting + approving)
    label = f"{rate:,.0f} cases/s (dbos {version('dbos')}, {CASES} cases)"
    report.add("dbos_on_sqlite_end_to_end", rate, label)
    report.add("ours_to_dbos", ours / rate, f"{ours / rate:.0f} x")
