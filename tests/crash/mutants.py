"""Bugs planted into the worker, each of which the campaign must catch: a harness that cannot fail
proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from adjourn import ActivityContext
from adjourn.engine.batch import Batch
from adjourn.engine.engine import Engine
from adjourn.store.protocol import InstanceRow, Query
from adjourn.store.sqlite import SQLiteStore
from tests.crash.workload import app

HEAD_START_SECONDS = 0.004  # lets the other thread act on what it got too early


def acknowledge_before_commit() -> None:
    """The client hears of it before the disk does."""
    commit = Engine._commit

    def too_early(self: Engine, batch: Batch) -> None:
        batch.deliver()
        time.sleep(HEAD_START_SECONDS)
        commit(self, batch)

    Engine._commit = too_early


def start_before_commit() -> None:
    """Activities run before the rows that ask for them are on disk."""
    commit = Engine._commit

    def too_early(self: Engine, batch: Batch) -> None:
        self.runner.start(batch.calls)
        time.sleep(HEAD_START_SECONDS)
        commit(self, batch)
        batch.calls = []

    Engine._commit = too_early


def fresh_key_per_attempt() -> None:
    """A provider cannot tell a repeated call from a new one."""

    def fresh(self: ActivityContext) -> str:
        return f"{self.instance_id}/{self.execution}/{self.sequence}/{self.attempt}"

    ActivityContext.idempotency_key = property(fresh)


def forget_receipts() -> None:
    """Nobody remembers which event ids were applied."""

    def nothing(self: SQLiteStore, *_: Any) -> None:
        return None

    SQLiteStore.receipt = nothing


def repeat_at_most_once() -> None:
    """What may run once only is repeated like any other."""
    object.__setattr__(app.activities["wire"], "at_most_once", False)


def wake_everybody() -> None:
    """A start reads every instance that waits."""

    def all_of_them(self: SQLiteStore) -> list[InstanceRow]:
        return self.list(Query(statuses=[], limit=1_000_000))

    SQLiteStore.unfinished_business = all_of_them


MUTANTS: dict[str, Callable[[], None]] = {
    mutant.__name__: mutant
    for mutant in (
        acknowledge_before_commit,
        start_before_commit,
        fresh_key_per_attempt,
        forget_receipts,
        repeat_at_most_once,
        wake_everybody,
    )
}
