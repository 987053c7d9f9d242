"""What does waiting cost: processor time, memory, disk, and the time to wake up?

Each phase runs in a process of its own: an empty engine; N instances loaded, waiting for an event
and a timer of seven days; the same file opened again, idle, then one of them resumed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
from _measuring import Report, folder, parser

from adjourn import Adjourn, Client, Context

app = Adjourn()
STARTS_AT_ONCE = 2_000
SETTLE_SECONDS = 2.0  # until the write-ahead log has been moved into the file
PHASE_LIMIT_SECONDS = 3_600


@app.orchestrator
async def waiting_case(ctx: Context, case: str) -> str:
    approval = ctx.wait_for_external_event("Approval", str)
    timeout = ctx.create_timer(timedelta(days=7))
    winner = await ctx.when_any(approval, timeout)
    return approval.result() if winner is approval else "expired"


def memory_bytes() -> int:
    return psutil.Process().memory_info().rss


def processor_ticks() -> int:
    times = os.times()
    return round((times.user + times.system) * os.sysconf("SC_CLK_TCK"))


# Phases: each prints one line of JSON.


async def load(file: Path, count: int) -> dict[str, float]:
    begun = time.perf_counter()
    async with app.open(file) as client:
        for first in range(0, count, STARTS_AT_ONCE):
            numbers = range(first, min(first + STARTS_AT_ONCE, count))
            await asyncio.gather(
                *(client.start(waiting_case, f"c-{n}", id=f"c-{n}") for n in numbers)
            )
    return {"seconds": time.perf_counter() - begun}


async def idle(file: Path, seconds: float, count: int) -> dict[str, float]:
    begun = time.perf_counter()
    async with app.open(file) as client:
        opened = time.perf_counter() - begun
        await first_answer(client, count)
        answered = time.perf_counter() - begun
        await asyncio.sleep(SETTLE_SECONDS)
        resident = memory_bytes()
        ticks = processor_ticks()
        await asyncio.sleep(seconds)
        ticks = processor_ticks() - ticks
    return {"opened": opened, "answered": answered, "resident": resident, "ticks": ticks}


async def first_answer(client: Client, count: int) -> None:
    """With instances: wake one and have its result. Without: any answer at all."""
    if count:
        await client.raise_event(f"c-{count // 2}", "Approval", "yes", event_id="click")
        assert await client.result(f"c-{count // 2}") == "yes"
    else:
        await client.list(limit=1)


def phase(name: str, file: Path, count: int, seconds: float) -> dict[str, float]:
    """Run one phase in a fresh process."""
    command = [sys.executable, __file__, "--phase", name, "--file", str(file)]
    command += ["--instances", str(count), "--seconds", str(seconds)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=PHASE_LIMIT_SECONDS
    )
    return json.loads(done.stdout)


def measure(where: Path, count: int, seconds: float, report: Report) -> None:
    full, empty = where / "waiting.db", where / "empty.db"
    before = phase("idle", empty, 0, 0.0)
    loaded = phase("load", full, count, 0.0)
    after = phase("idle", full, count, seconds)
    size = sum(part.stat().st_size for part in where.glob("waiting.db*"))
    more = (after["resident"] - before["resident"]) / 2**20
    report.add("waiting_instances", count, f"{count:,}")
    report.add("load_per_second", count / loaded["seconds"], f"{count / loaded['seconds']:,.0f} /s")
    report.add("idle_seconds", seconds, f"{seconds:g} s")
    report.add("idle_ticks", after["ticks"], f"{after['ticks']:.0f} ticks of 10 ms")
    report.add("empty_MiB", before["resident"] / 2**20, f"{before['resident'] / 2**20:.1f} MiB")
    report.add("more_MiB_than_empty", more, f"{more:+.1f} MiB")
    report.add("bytes_on_disk_each", size / count, f"{size / count:,.0f} B")
    report.add("open_ms", after["opened"] * 1e3, f"{after['opened'] * 1e3:.1f} ms")
    report.add(
        "open_to_first_resumed_ms", after["answered"] * 1e3, f"{after['answered'] * 1e3:.1f} ms"
    )


def run_phase(options: argparse.Namespace) -> None:
    if options.phase == "load":
        figures = asyncio.run(load(options.file, options.instances))
    else:
        figures = asyncio.run(idle(options.file, options.seconds, options.instances))
    print(json.dumps(figures))


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--instances", type=int, default=10_000)
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long to idle")
    arguments.add_argument("--phase", choices=["load", "idle"], help=argparse.SUPPRESS)
    arguments.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.phase:
        run_phase(options)
        return
    with folder(options.dir) as where:
        report = Report("the cost of waiting", where)
        measure(where, options.instances, options.seconds, report)
        report.show(as_json=options.json)


if __name__ == "__main__":
    main()
