"""How fast are approvals, end to end, and how soon does the next activity start?

Each case: an activity, a wait for "Approval" raced against a durable timer of seven days, then
three activities. The activities do nothing, so that the engine is measured. Every acknowledgement
is on disk (WAL, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from _measuring import Report, bare_disk, between, folder, parser, percentile

from adjourn import Adjourn, Client, Context
from adjourn.cli.run import COLLECT_SELDOM

app = Adjourn()
WAITING_WHILE_TIMED = 1_000  # cases that wait while single approvals are timed
APPROVALS_TIMED = 500
BARRIER_LOOKS = 10_000


@dataclass
class Seen:
    """What the activities report to the benchmark, which runs on the same loop."""

    expected: int = 0
    pending: int = 0
    last: str = ""
    all_pending: asyncio.Event = field(default_factory=asyncio.Event)
    started: dict[str, asyncio.Future[float]] = field(default_factory=dict)


seen = Seen()


@dataclass
class Approval:
    approved: bool


@app.activity
async def update_case(case: str, status: str) -> None:
    if status == "pending":
        seen.pending += 1
        seen.last = case
        if seen.pending == seen.expected:
            seen.all_pending.set()
    elif case in seen.started:
        seen.started[case].set_result(time.perf_counter())


@app.activity
async def issue_refund(case: str) -> str:
    return f"refund of {case}"


@app.activity
async def notify(case: str, text: str) -> None:
    pass


@app.orchestrator
async def approval_case(ctx: Context, case: str) -> str:
    await ctx.call_activity(update_case, case, "pending")
    approval = ctx.wait_for_external_event("Approval", Approval)
    timeout = ctx.create_timer(timedelta(days=7))
    winner = await ctx.when_any(approval, timeout)
    if winner is timeout or not approval.result().approved:
        return "rejected"
    await ctx.call_activity(update_case, case, "approved")
    await ctx.call_activity(issue_refund, case)
    await ctx.call_activity(notify, case, "approved")
    return "approved"


async def start_and_wait(client: Client, cases: list[str]) -> None:
    """Start all at once; return when all of them wait."""
    global seen
    seen = Seen(expected=len(cases))
    await asyncio.gather(*(client.start(approval_case, case, id=case) for case in cases))
    await seen.all_pending.wait()
    for _ in range(BARRIER_LOOKS):  # the engine takes in order: once the last waits, all do
        if (await client.get(seen.last)).waiting_for:
            return
    raise RuntimeError(f"{seen.last} does not wait")


async def approve_and_finish(client: Client, cases: list[str]) -> None:
    async def one(case: str) -> None:
        await client.raise_event(case, "Approval", Approval(True), event_id="click")
        assert await client.result(case) == "approved"

    await asyncio.gather(*map(one, cases))


async def throughput(file: Path, count: int) -> tuple[float, float]:
    """Seconds until all wait, and from there until all are done."""
    cases = [f"case-{number}" for number in range(count)]
    async with app.open(file) as client:
        begun = time.perf_counter()
        await start_and_wait(client, cases)
        waiting = time.perf_counter()
        await approve_and_finish(client, cases)
        done = time.perf_counter()
    return waiting - begun, done - waiting


async def latencies(file: Path, waiting: int, count: int) -> list[float]:
    """Seconds from the call of raise_event to the start of the next activity, one at a time."""
    cases = [f"case-{number}" for number in range(waiting)]
    found: list[float] = []
    async with app.open(file) as client:
        await start_and_wait(client, cases)
        for case in cases[:count]:
            seen.started[case] = asyncio.get_running_loop().create_future()
            begun = time.perf_counter()
            await client.raise_event(case, "Approval", Approval(True), event_id="click")
            found.append(await seen.started[case] - begun)
            await client.result(case)
    return found


def measure(where: Path, sizes: list[int], report: Report) -> float:
    """Returns the best cases/s, end to end."""
    asyncio.run(throughput(where / "warm.db", 200))
    best = 0.0
    for size in sizes:
        starting, approving = asyncio.run(throughput(where / f"{size}.db", size))
        for name, rate in (
            ("start_to_waiting", size / starting),
            ("approve_to_done", size / approving),
            ("end_to_end", size / (starting + approving)),
        ):
            report.add(f"{name}_{size}_cases", rate, f"{rate:,.0f} cases/s")
        best = max(best, size / (starting + approving))
    before = bare_disk(where)
    found = asyncio.run(latencies(where / "one.db", WAITING_WHILE_TIMED, APPROVALS_TIMED))
    bare = between(before, bare_disk(where))
    middle, slow = percentile(found, 50) * 1e3, percentile(found, 99) * 1e3
    report.add("bare_commits_per_second", bare.per_second, f"{bare.per_second:,.0f} /s")
    report.add("bare_commit_p50_ms", bare.p50_ms, f"{bare.p50_ms:.3f} ms")
    report.add("approve_to_next_activity_p50_ms", middle, f"{middle:.3f} ms")
    report.add("approve_to_next_activity_p99_ms", slow, f"{slow:.3f} ms")
    ratio = middle / bare.p50_ms
    report.add("p50_in_bare_commits", ratio, f"{ratio:.1f} x")
    return best


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000])
    arguments.add_argument("--peers", action="store_true", help="run DBOS on SQLite beside us")
    options = arguments.parse_args()
    if options.peers:
        import _peers  # stops here, before anything is measured, when the peer is not installed
    gc.set_threshold(*COLLECT_SELDOM)  # as `adjourn run` does
    with folder(options.dir) as where:
        report = Report("approval workflow, end to end", where)
        best = measure(where, options.cases, report)
        if options.peers:
            _peers.dbos_approval(where, report, ours=best)
        report.show(as_json=options.json)


if __name__ == "__main__":
    main()
