"""Is a long instance linear, and how wide can it fan out?

One instance awaits 1,000 and then 2,000 activities, one after the other: each is at least one
durable commit. Then one instance runs 1,000 activities at once.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from _measuring import Report, bare_disk, between, folder, parser

from adjourn import Adjourn, Context

app = Adjourn()


@app.activity
async def nothing(number: int) -> int:
    return number


@app.orchestrator
async def chain(ctx: Context, length: int) -> int:
    total = 0
    for number in range(length):
        total += await ctx.call_activity(nothing, number)
    return total


@app.orchestrator
async def fan_out(ctx: Context, width: int) -> int:
    return sum(await ctx.when_all([ctx.call_activity(nothing, n) for n in range(width)]))


async def seconds_of(file: Path, name: str, count: int) -> float:
    async with app.open(file) as client:
        begun = time.perf_counter()
        handle = await client.start(name, count, id=f"{name}-{count}")
        assert await handle.result() == count * (count - 1) // 2
        return time.perf_counter() - begun


def measure(where: Path, length: int, width: int, report: Report) -> None:
    asyncio.run(seconds_of(where / "warm.db", "chain", 100))
    before = bare_disk(where)
    short = asyncio.run(seconds_of(where / "short.db", "chain", length))
    bare = between(before, bare_disk(where))
    long = asyncio.run(seconds_of(where / "long.db", "chain", 2 * length))
    wide = asyncio.run(seconds_of(where / "wide.db", "fan_out", width))
    rate = length / short
    report.add("bare_commits_per_second", bare.per_second, f"{bare.per_second:,.0f} /s")
    report.add(f"chain_of_{length}_seconds", short, f"{short:.2f} s")
    report.add(f"chain_of_{2 * length}_seconds", long, f"{long:.2f} s")
    report.add("twice_as_long_takes", long / short, f"{long / short:.2f} x")
    report.add("chain_activities_per_second", rate, f"{rate:,.0f} /s")
    report.add("of_the_bare_commit_rate", rate / bare.per_second, f"{rate / bare.per_second:.2f} x")
    report.add(f"fan_out_of_{width}_per_second", width / wide, f"{width / wide:,.0f} /s")


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--length", type=int, default=1_000)
    arguments.add_argument("--width", type=int, default=1_000)
    options = arguments.parse_args()
    with folder(options.dir) as where:
        report = Report("one long instance, one wide instance", where)
        measure(where, options.length, options.width, report)
        report.show(as_json=options.json)


if __name__ == "__main__":
    main()
