"""The process that is killed. It obeys lines of JSON on stdin and answers each on stdout.

What it wrote there, unbuffered, was acknowledged, whatever happens next. When stdin ends it closes
the file and leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from adjourn import AdjournError, Client
from adjourn.engine.crash_points import CRASH_POINTS, nothing
from adjourn.model import events
from adjourn.testing import KillAt, open_with_crash_point
from tests.crash.mutants import MUTANTS
from tests.crash.workload import Stage, app, crash_case, ledger, sleeper

LINE_LIMIT = 2**22
PAGE = 500
PAGES = 1_000
LAST_ANSWERS_SECONDS = 2.0


def say(**line: Any) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


# What the campaign may ask.


async def start(client: Client, case: str) -> bool:
    return (await client.start(crash_case, Stage(case, []), id=case)).created


async def start_sleeper(client: Client, case: str) -> bool:
    return (await client.start(sleeper, id=case)).created


async def event(client: Client, case: str, event_id: str) -> str:
    return await client.raise_event(case, "Papers", event_id, event_id=event_id)


async def update(client: Client, case: str, update_id: str, decision: str) -> Any:
    return await client.update(case, "Decide", decision, update_id=update_id)


async def settle(client: Client) -> int:
    """Give every activity in doubt a person's word; returns how many."""
    settled = 0
    for found in await everybody(client, statuses=["Running"]):
        if not found.running:
            continue
        for sequence in await in_doubt(client, found.id):
            await client.settle(found.id, sequence, "completed", by="campaign", result="settled")
            settled += 1
    return settled


async def in_doubt(client: Client, case: str) -> list[int]:
    open_doubts: dict[int, None] = {}
    for entry in await client.history(case):
        match entry.event:
            case events.ActivityInDoubt(sequence=sequence):
                open_doubts[sequence] = None
            case events.ActivityCompleted(sequence=sequence):
                open_doubts.pop(sequence, None)
            case _:
                pass
    return list(open_doubts)


async def statuses(client: Client) -> dict[str, str]:
    return {found.id: found.status.value for found in await everybody(client)}


async def everybody(client: Client, statuses: list[str] | None = None) -> list[Any]:
    found: list[Any] = []
    token = None
    for _ in range(PAGES):
        page = await client.list(statuses=statuses or (), limit=PAGE, page_token=token)
        found += page.instances
        token = page.next_token
        if token is None:
            break
    return found


async def history(client: Client, case: str) -> dict[str, Any]:
    """What all executions of a case recorded; reading it checks their hash chains."""
    state = await client.get(case)
    told: dict[str, Any] = {"status": state.status.value, "result": None, "problem": state.problem}
    told |= {"events": [], "accepted": [], "doubts": 0}
    for execution in range(1, state.execution + 1):
        for entry in await client.history(case, execution=execution):
            match entry.event:
                case events.ExternalEventReceived(event_id=event_id, carried=False):
                    told["events"].append(event_id)
                case events.UpdateAccepted(update_id=update_id, result=result):
                    told["accepted"].append([update_id, json.loads(bytes(result))["decision"]])
                case events.ActivityInDoubt():
                    told["doubts"] += 1
                case events.InstanceCompleted(result=result):
                    told["result"] = json.loads(bytes(result))
                case _:
                    pass
    return told


ASKED = {
    function.__name__: function
    for function in (start, start_sleeper, event, update, settle, statuses, history)
}


# The process.


async def obey(client: Client, line: bytes) -> None:
    asked = json.loads(line)
    try:
        answer = await ASKED[asked["do"]](client, *asked["with"])
    except AdjournError as error:
        say(ticket=asked["ticket"], error=type(error).__name__, message=str(error))
    else:
        say(ticket=asked["ticket"], answer=answer)


async def taken_up(client: Client) -> list[str]:
    """Whom the restart read into memory."""
    return await client.backend._read(lambda engine: list(engine.memory.keys))  # type: ignore[attr-defined]


async def serve(options: argparse.Namespace) -> None:
    reached = KillAt(options.point, options.nth) if options.point else nothing
    reader = asyncio.StreamReader(limit=LINE_LIMIT)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async with open_with_crash_point(app, options.file, reached) as client:
        say(ready=True, taken_up=await taken_up(client))
        tasks: set[asyncio.Task[None]] = set()
        while line := await reader.readline():
            task = asyncio.create_task(obey(client, line))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_ANSWERS_SECONDS)


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("file")
    arguments.add_argument("ledger", type=Path)
    arguments.add_argument("--life", type=int, default=0)
    arguments.add_argument("--point", choices=CRASH_POINTS)
    arguments.add_argument("--nth", type=int, default=1)
    arguments.add_argument("--mutant", choices=sorted(MUTANTS))
    options = arguments.parse_args()
    ledger.open(options.ledger, options.life)
    if options.mutant:
        MUTANTS[options.mutant]()
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
