"""Activities whose body is a closure of the orchestrator that asks for them.

An agent's step is such a closure: what it needs (messages, tools, dependencies) exists only while
the agent's run is in memory. History holds its name, its input and its result, as for any activity;
an attempt after a restart needs the execution rebuilt, which makes the closure anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from datetime import timedelta
from typing import Any

from adjourn.authoring.current import activity_context, current_activity
from adjourn.authoring.functions import Activity
from adjourn.model import codec
from adjourn.model.retry import RetryPolicy
from adjourn.replay.execution import Execution
from adjourn.replay.loop import running_loop
from adjourn.replay.tasks import ActivityTask

Body = Callable[[], Awaitable[Any]]

_read_anything = codec.decoder(Any)


def current_execution() -> Execution | None:
    """The execution whose orchestrator code is running here; None in activities and elsewhere."""
    loop = running_loop()
    return None if loop is None else loop.owner


def open_hosted(
    execution: Execution,
    name: str,
    body: Body,
    *,
    input: Any = None,
    retry: RetryPolicy | None = None,
    timeout: timedelta | None = None,
) -> ActivityTask:
    """Run `body` as an activity of this execution; its Task gives plain JSON values, or raises
    ActivityFailedError.

    It runs on the application's event loop, under the context variables as they are here.

    Raises: InvalidIdError, SerializationError, PayloadTooLargeError.
    """
    text = codec.encode(input, f"The input of activity {name!r}")
    hosted: Activity[[], Any] = Activity(
        _under_these_variables(body), name, retry=retry or RetryPolicy(), timeout=timeout
    )
    return execution.open_activity(name, text, _read_anything, body=hosted)


def _under_these_variables(body: Body) -> Callable[[], Awaitable[Any]]:
    variables = copy_context()

    async def attempt() -> Any:
        current = current_activity()

        async def under_them() -> Any:
            with activity_context(current):
                return await body()

        # A copy for each attempt: what one leaves behind must not reach the next.
        return await asyncio.create_task(under_them(), context=variables.copy())

    return attempt
