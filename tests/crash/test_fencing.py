"""One process owns a file: others are refused, a dead owner is followed, a thawed one is fenced."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adjourn.errors import FileLockedError, FileRefusedError, StorageError
from adjourn.store.sqlite import SQLiteStore
from tests.crash.process import Worker

pytestmark = pytest.mark.slow

ANSWER_LINES = 100
FREEZES = 10


class Owner:
    """A worker that has the file open."""

    def __init__(self, folder: Path) -> None:
        self._errors = folder / "worker.err"
        self.file = folder / "one.db"
        self.worker = Worker(
            "tests.crash.worker", str(self.file), str(folder / "effects"), errors=self._errors
        )
        first = self.worker.next_line()
        assert first is not None and first["ready"], self._errors.read_text()
        self._tickets = 0

    def send(self, do: str, *with_: str) -> int:
        self._tickets += 1
        assert self.worker.say(ticket=self._tickets, do=do, **{"with": with_})
        return self._tickets

    def answer_to(self, ticket: int) -> dict[str, Any]:
        for _ in range(ANSWER_LINES):
            line = self.worker.next_line()
            assert line is not None, self._errors.read_text()
            if line.get("ticket") == ticket:
                return line
        raise AssertionError(f"no answer to {ticket}")

    def ask(self, do: str, *with_: str) -> dict[str, Any]:
        return self.answer_to(self.send(do, *with_))

    def overtake(self) -> SQLiteStore:
        """Freeze it and open its file. Frozen inside a transaction it would hold the file."""
        for _ in range(FREEZES):
            self.ask("statuses")
            self.signal(signal.SIGSTOP)
            try:
                return SQLiteStore(self.file, lock=False)
            except (FileRefusedError, StorageError):
                self.signal(signal.SIGCONT)
        raise AssertionError("never frozen between two transactions")

    def signal(self, number: int) -> None:
        os.kill(self.worker.pid, number)

    def bury(self) -> int:
        if self.worker.alive:
            self.signal(signal.SIGCONT)
        return self.worker.bury()


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    made = Owner(tmp_path)
    yield made
    made.bury()


def test_a_second_process_is_refused_with_the_pid_of_the_owner(owner: Owner) -> None:
    with pytest.raises(FileLockedError, match=f"process {owner.worker.pid}") as refused:
        SQLiteStore(owner.file)

    assert refused.value.owner_pid == owner.worker.pid
    assert owner.ask("start", "case-1")["answer"] is True


def test_a_killed_owner_is_followed_by_the_next_at_once(owner: Owner, tmp_path: Path) -> None:
    assert owner.ask("start", "case-1")["answer"] is True
    owner.signal(signal.SIGKILL)
    assert owner.bury() == -signal.SIGKILL

    follower = Owner(tmp_path)
    try:
        assert follower.ask("start", "case-1")["answer"] is False
    finally:
        assert follower.bury() == 0


def test_a_thawed_owner_is_fenced_and_acknowledges_nothing(owner: Owner) -> None:
    assert owner.ask("start", "case-1")["answer"] is True
    usurper = owner.overtake()
    meanwhile = [owner.send("start", "case-2"), owner.send("event", "case-1", "papers-1")]

    owner.signal(signal.SIGCONT)

    answers = [owner.answer_to(ticket) for ticket in meanwhile]
    assert {answer.get("error") for answer in answers} == {"FencedError"}
    assert "taken over" in owner.ask("start", "case-3")["message"]
    assert usurper.find("case-2") is None and usurper.find("case-3") is None
    assert usurper.find("case-1") is not None
    assert owner.bury() == 0
    usurper.close()


def test_a_fenced_owner_leaves_no_mark_of_a_clean_stop(owner: Owner) -> None:
    owner.overtake().abandon()
    owner.signal(signal.SIGCONT)
    assert owner.ask("start", "case-1")["error"] == "FencedError"
    assert owner.bury() == 0

    follower = SQLiteStore(owner.file)

    assert not follower.was_clean
    follower.close()
