"""Stopping: whoever waits for an answer gets one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from adjourn import Adjourn
from adjourn.engine.engine import Engine
from adjourn.engine.messages import ActivityCall, AwaitResult, Outcome, Read
from adjourn.errors import EngineStoppedError
from adjourn.store.sqlite import SQLiteStore

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Answers:
    def __init__(self) -> None:
        self.errors: dict[str, Exception | None] = {}

    def deliver(self, outcomes: Sequence[Outcome]) -> None:
        self.errors.update({ticket: error for ticket, _, error in outcomes})


class NoActivities:
    def start(self, calls: Sequence[ActivityCall]) -> None: ...
    def cancel(self, calls: Sequence[ActivityCall]) -> None: ...


def test_messages_in_the_inbox_in_hand_and_after_the_stop_are_all_answered():
    answers: Any = Answers()
    engine = Engine(Adjourn(), SQLiteStore(":memory:"), NoActivities())
    engine.first = Read(query=lambda: 1, reply=(answers, "in hand"))
    engine.submit(AwaitResult(id="x", reply=(answers, "in the inbox")))

    engine.stop(EngineStoppedError("a test"))
    engine.submit(Read(query=lambda: 1, reply=(answers, "too late")))

    assert set(answers.errors) == {"in hand", "in the inbox", "too late"}
    assert all(isinstance(error, EngineStoppedError) for error in answers.errors.values())
