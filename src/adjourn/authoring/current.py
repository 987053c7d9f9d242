"""What an activity may know about the attempt that it is."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adjourn.errors import AdjournError


@dataclass(slots=True, kw_only=True)
class ActivityContext:
    """One attempt of one activity."""

    instance_id: str
    execution: int
    sequence: int
    name: str
    attempt: int
    """1 for the first; counted on disk before the attempt starts."""
    approval: str = ""
    """The id of the approval whose decision this executes."""
    cancelled: bool = False
    """True once nobody waits for the result: stop early if you can."""
    last_heartbeat: Any = None
    _beat: Callable[[], datetime] | None = field(default=None, repr=False)
    heartbeat_at: datetime | None = None

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this call and for no other call, ever: the approval's id
        where it executes a decision."""
        if self.approval:
            return self.approval
        return f"{self.instance_id}/{self.execution}/{self.sequence}"

    def heartbeat(self, detail: Any = None) -> None:
        """Say that the attempt is alive. What was said last stays on this object, in memory only.

        Raises CancelledError in an attempt that was cancelled, so that a long loop which
        heartbeats also stops.
        """
        self.last_heartbeat = detail
        if self._beat is not None:
            self.heartbeat_at = self._beat()
        if self.cancelled:
            raise CancelledError("Nobody waits for this activity any more.")


_current: ContextVar[ActivityContext] = ContextVar("adjourn_activity")


def current_activity() -> ActivityContext:
    """The attempt that is running here. Raises: AdjournError outside an activity."""
    try:
        return _current.get()
    except LookupError:
        raise AdjournError(
            "current_activity() is for code that Adjourn runs as an activity. In a test of the "
            "plain function, wrap the call in `with activity_context(...)`."
        ) from None


class activity_context:
    """`with activity_context(ActivityContext(...)):` makes it the current one."""

    def __init__(self, context: ActivityContext) -> None:
        self._context = context
        self._token: Token[ActivityContext] | None = None

    def __enter__(self) -> ActivityContext:
        self._token = _current.set(self._context)
        return self._context

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _current.reset(self._token)
