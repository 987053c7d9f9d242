"""Times in an agent's messages.

Pydantic AI stamps the messages that it makes with the machine's clock; those that a model's answer
brings come from the journal. An orchestrator may hand its messages on, as the input of an activity
or of its next execution, so they must be the same on every replay: they get the time of the turn
that made them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelRequest

_stamped: ContextVar[dict[int, object] | None] = ContextVar("adjourn_stamped", default=None)
"""What this run has stamped, by id: each is kept, so that no other gets its id meanwhile."""


@contextmanager
def stamping() -> Generator[None]:
    """Around one run of an agent."""
    token = _stamped.set({})
    try:
        yield
    finally:
        _stamped.reset(token)


def stamp(messages: Iterable[ModelMessage], run_id: str | None, now: datetime) -> None:
    """Give what this run has made since the last time the time of this turn."""
    done = _stamped.get()
    if done is None:
        return
    for message in messages:
        if not isinstance(message, ModelRequest) or message.run_id != run_id:
            continue
        for made in (message, *message.parts):
            if id(made) not in done and hasattr(made, "timestamp"):
                _set(made, now)
                done[id(made)] = made


def _set(made: Any, now: datetime) -> None:
    made.timestamp = now
