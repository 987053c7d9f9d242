"""How does the support agent do with 200 customers who write at once?

Each asks how an order of theirs stands, and how returns work: the offline model looks the order up
and searches the knowledge base. Talks and lines are on disk, in two files, before anybody is
answered.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import psutil
from _measuring import Report, folder, parser, percentile

from adjourn import Client

POLL_SECONDS = 0.02
LONGEST_SECONDS = 300.0


async def talk(client: Client, customer: int, order: str, number: int) -> list[float]:
    """Seconds from each message to its answer on record."""
    from support_agent import talking

    id, found = f"talk-{number}", list[float]()
    await talking.begin(client, customer, id)
    texts = (f"Where is my order {order}?", "How do returns work?")
    for count, text in enumerate(texts, start=1):
        begun = time.perf_counter()
        await talking.say(client, id, customer, text, f"{id}-{count}")
        await answered(id, 2 * count)
        found.append(time.perf_counter() - begun)
    return found


async def answered(id: str, lines: int) -> None:
    from support_agent.shop import talks
    from support_agent.shop.database import reading, shop_database

    give_up = time.perf_counter() + LONGEST_SECONDS
    while time.perf_counter() < give_up:
        with reading(shop_database()) as session:
            if len(talks.lines_of(session, id)) >= lines:
                return
        await asyncio.sleep(POLL_SECONDS)
    raise RuntimeError(f"{id} was not answered")


async def measure(where: Path, count: int, report: Report) -> None:
    os.environ["SUPPORT_DATABASE"] = f"sqlite:///{where / 'shop.db'}"
    from sqlalchemy import select

    from support_agent.conversation import app
    from support_agent.shop.database import reading, shop_database
    from support_agent.shop.records import Order
    from support_agent.shop.shipped import import_shipped

    import_shipped(shop_database(), datetime.now(UTC))
    with reading(shop_database()) as session:
        rows = session.execute(select(Order.customer_id, Order.number)).all()
    process = psutil.Process()
    async with app.open(where / "talks.db") as client:
        before, begun = process.memory_info().rss, time.perf_counter()
        whose = (rows[number % len(rows)] for number in range(count))
        talks = (talk(client, who, order, number) for number, (who, order) in enumerate(whose))
        times = [each for found in await asyncio.gather(*talks) for each in found]
        seconds = time.perf_counter() - begun
        report.add("talks", count, f"{count}, {len(times)} messages, 0 errors")
        report.add("messages_per_second", len(times) / seconds, f"{len(times) / seconds:.1f} /s")
        for name, at in (("p50", 50), ("p99", 99)):
            report.add(f"answer_{name}_s", percentile(times, at), f"{percentile(times, at):.2f} s")
        grown = (process.memory_info().rss - before) / 2**20
        report.add("more_mib", grown, f"+{grown:.0f} MiB")


def main() -> None:
    arguments = parser(__doc__ or "")
    arguments.add_argument("--talks", type=int, default=200)
    options = arguments.parse_args()
    with folder(options.dir) as where:
        report = Report("200 customers at once, on the offline model", where)
        asyncio.run(measure(where, options.talks, report))
        report.show(as_json=options.json)


if __name__ == "__main__":
    main()
