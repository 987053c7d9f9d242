"""Around the user's code: generators driven as coroutines, errors taught, lines named."""

from __future__ import annotations

import asyncio
import sys
from asyncio import CancelledError
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, cast

from adjourn.authoring.task import Task
from adjourn.errors import DeterminismError
from adjourn.replay.loop import DeterministicLoop

_OUR_FILES = (__file__.removesuffix("replay/code.py"), asyncio.__path__[0])
_RUN_CODE = DeterministicLoop.run_until_idle.__code__

_FOREIGN = (
    "attached to a different loop",
    "belongs to a different loop",
    "bound to a different event loop",
    "await wasn't used with future",
    "got bad yield",
)
"""asyncio's words for an awaitable from outside."""


def line_that_asked() -> str:
    """`file:line in function` of the orchestrator's code that is asking now, or nothing."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]  # the only way to name a line
    while frame is not None and frame.f_code.co_filename.startswith(_OUR_FILES):
        if frame.f_code is _RUN_CODE or frame.f_code.co_name == "apply":
            return ""  # asked by a callback of the loop, or the end: no line of the orchestrator
        frame = frame.f_back
    if frame is None:
        return ""
    name = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.f_lineno} in {frame.f_code.co_name}"


def taught(error: BaseException) -> BaseException:
    """asyncio's own words for a foreign awaitable, with the right form beside them."""
    if isinstance(error, RuntimeError | ValueError) and any(
        words in str(error) for words in _FOREIGN
    ):
        taught = DeterminismError(
            f"The orchestrator awaited something from outside ({error}). Await only what the "
            "context gives and asyncio's own primitives made inside; the rest belongs into "
            "an activity."
        )
        taught.__cause__ = error
        return taught
    return error


async def drive(generator: Generator[Any, Any, Any]) -> Any:
    """Run a Durable Functions generator: `result = yield task`."""
    value: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                yielded = generator.send(value) if error is None else generator.throw(error)
            except StopIteration as stop:
                return stop.value
            value, error = await _outcome_of(yielded)
    finally:
        error = None  # its traceback holds this frame, and so would hold it


async def _outcome_of(yielded: Any) -> tuple[Any, BaseException | None]:
    if not isinstance(yielded, Task | asyncio.Future | Coroutine):
        return None, DeterminismError(
            f"A generator orchestrator yielded {type(yielded).__name__}. Yield what the context "
            "gives: `x = yield ctx.call_activity(...)`, `yield ctx.task_all([...])`."
        )
    try:
        return await cast("Awaitable[Any]", yielded), None
    except (Exception, CancelledError) as error:
        return None, error
