"""A campaign: life after life of one worker on one file, each ended by SIGKILL, then a drain."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import apsw

from adjourn.engine.crash_points import CRASH_POINTS
from tests.crash.outside import OutsideLedger
from tests.crash.process import Worker
from tests.crash.workload import APPROVE, PAPERS, REJECT

AT_RANDOM = "at random"
WAYS_TO_DIE: tuple[str, ...] = (*CRASH_POINTS, AT_RANDOM)

SLEEPERS = 25
NEW_CASES = 2  # in each life
BUSY_CASES = 8  # unfinished ones that hear something in each life
RECHECKED = 12  # older acknowledgements that are tried again in each life
LATEST_VISIT = 25  # of a named point, in one life
LONGEST_LIFE_SECONDS = 1.5
PAUSE_SECONDS = 0.003
DRAIN_SECONDS = 60.0
DECIDES = {"ann": APPROVE, "bob": REJECT, "cid": APPROVE}

Line = tuple[str, tuple[str, ...]]
"""What to do, and with what: the case and, perhaps, an id."""


@dataclass
class Figures:
    seed: int
    kills: int
    cases: int
    acknowledged: int
    lost: int
    calls: int
    repeated_calls: int
    in_doubt: int
    seconds: float

    def __str__(self) -> str:
        return ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in vars(self).items())


class Campaign:
    def __init__(self, folder: Path, seed: int, mutant: str = "") -> None:
        self.seed = seed
        self.kills = 0
        self.in_doubt = 0
        self._dice = random.Random(seed)
        self._mutant = mutant
        self._file = folder / "crash.db"
        self._effects = folder / "effects.jsonl"
        self._errors = folder / "worker.err"
        self._lives = 0
        self._cases = 0
        self._fresh: list[Line] = []
        """Acknowledged in the life before: the most likely to be lost."""
        self._begun = time.monotonic()
        self.ledger = OutsideLedger(self._effects)

    @property
    def violations(self) -> list[str]:
        return self.ledger.violations

    def figures(self) -> Figures:
        return Figures(
            seed=self.seed,
            kills=self.kills,
            cases=self._cases,
            acknowledged=self.ledger.acknowledged,
            lost=self.ledger.lost,
            calls=len(self.ledger.effects()),
            repeated_calls=self.ledger.repeated_calls(),
            in_doubt=self.in_doubt,
            seconds=round(time.monotonic() - self._begun, 1),
        )

    # Lives.

    def run(self, kills: int, ways: Sequence[str] = WAYS_TO_DIE) -> None:
        """Live and die until `kills` are done or a promise is broken, then drain and check."""
        self._first_life()
        for _ in range(2 * kills):
            if self.kills >= kills or self.violations:
                break
            self._live_and_die(self._dice.choice(ways))
            self.ledger.check_effects()
        if not self.violations:
            self._drain()
        if not self.violations:
            self._check_file()

    def _first_life(self) -> None:
        worker = self._spawn()
        for number in range(SLEEPERS):
            if self._answer_to(worker, "start_sleeper", f"sleeper-{number}") is not True:
                self.violations.append(f"The worker does not work: {self._log()}")
                break
        self._end(worker, expected=0)

    def _spawn(self, point: str = "", nth: int = 1) -> Worker:
        self._lives += 1
        arguments = [str(self._file), str(self._effects), "--life", str(self._lives)]
        if point:
            arguments += ["--point", point, "--nth", str(nth)]
        if self._mutant:
            arguments += ["--mutant", self._mutant]
        return Worker("tests.crash.worker", *arguments, errors=self._errors)

    def _live_and_die(self, way: str) -> None:
        if way == AT_RANDOM:
            worker = self._spawn()
            if self._dice.random() < 0.15:  # while it starts: recovery is killed too
                worker.await_death(self._dice.uniform(0.15, 0.5))
            else:
                self._keep_busy(worker, self._dice.uniform(0.01, 0.25))
            worker.kill()
        else:
            worker = self._spawn(way, self._dice.randint(1, LATEST_VISIT))
            self._keep_busy(worker, LONGEST_LIFE_SECONDS)
            worker.kill()
        self._end(worker, expected=-signal.SIGKILL)
        self.kills += 1

    def _keep_busy(self, worker: Worker, seconds: float) -> None:
        """Talk to it until it dies or the time is over."""
        first = worker.next_line()
        if first is None:
            return
        self.ledger.hear(first)
        deadline = time.monotonic() + seconds
        for do, with_ in self._plan():
            if time.monotonic() > deadline or not worker.alive:
                return
            if not self._ask(worker, do, *with_):
                return
            self._listen(worker)
            worker.await_death(self._dice.random() * PAUSE_SECONDS)
        worker.await_death(max(0.0, deadline - time.monotonic()))

    def _ask(self, worker: Worker, do: str, *with_: str) -> bool:
        case, id = (*with_, "", "")[:2]
        ticket = self.ledger.ticket(do, case, id)
        return worker.say(ticket=ticket, do=do, **{"with": with_})

    def _listen(self, worker: Worker) -> None:
        try:
            while True:
                self.ledger.hear(worker.heard.get_nowait())
        except Empty:
            pass

    def _end(self, worker: Worker, *, expected: int) -> None:
        code = worker.bury()
        before = self._acknowledged_lines()
        self._listen(worker)
        self._fresh = [line for line in self._acknowledged_lines() if line not in before]
        if code != expected:
            self.violations.append(f"The worker ended with {code}, not {expected}: {self._log()}")

    def _log(self) -> str:
        return self._errors.read_text(errors="replace")[-2_000:]

    # What to say.

    def _plan(self) -> Iterator[Line]:
        lines = self._new_lines() + self._rechecks() + self._next_lines()
        if self._dice.random() < 0.3:
            lines.insert(self._dice.randrange(len(lines)), ("settle", ()))
        yield from lines

    def _new_lines(self) -> list[Line]:
        """New cases, each with a paper that comes before anybody waits for it."""
        lines: list[Line] = []
        for _ in range(NEW_CASES):
            self._cases += 1
            case = f"case-{self._cases}"
            lines += [("start", (case,)), ("event", (case, self._dice.choice(PAPERS)))]
        return lines

    def _acknowledged_lines(self) -> list[Line]:
        lines: list[Line] = []
        for case, record in self.ledger.cases.items():
            if record.started and case.startswith("case"):
                lines.append(("start", (case,)))
            lines += [("event", (case, event_id)) for event_id in sorted(record.events)]
            lines += [("update", (case, by, DECIDES[by])) for by in sorted(record.answers)]
        return lines

    def _rechecks(self) -> list[Line]:
        """What was acknowledged must be answered as before."""
        older = self._acknowledged_lines()
        chosen = self._fresh + self._dice.sample(older, min(RECHECKED, len(older)))
        self._dice.shuffle(chosen)
        return chosen

    def _next_lines(self) -> list[Line]:
        """Papers and competing decisions for cases under way, with repeats, in any order."""
        lines: list[Line] = []
        for case in self._under_way()[:BUSY_CASES]:
            lines += [("start", (case,))] if not self.ledger.cases[case].started else []
            lines += [("event", (case, self._dice.choice(PAPERS))) for _ in range(2)]
            deciders = self._dice.sample(sorted(DECIDES), 2)
            lines += [("update", (case, by, DECIDES[by])) for by in deciders]
        self._dice.shuffle(lines)
        return lines

    def _under_way(self) -> list[str]:
        cases = [
            case
            for case, record in self.ledger.cases.items()
            if case.startswith("case") and not record.finished
        ]
        self._dice.shuffle(cases)
        return cases

    # The end.

    def _drain(self) -> None:
        worker = self._spawn()
        ready = worker.next_line()
        if ready is None:
            self.violations.append(f"The worker does not start: {self._log()}")
            worker.bury()
            return
        self.ledger.hear(ready)
        cases = [f"case-{number}" for number in range(1, self._cases + 1)]
        for case in cases:
            self._ask(worker, "start", case)
            for event_id in PAPERS:
                self._ask(worker, "event", case, event_id)
            self._ask(worker, "update", case, "ann", DECIDES["ann"])
            self._listen(worker)
        if self._until_finished(worker, cases):
            self._check_histories(worker, cases)
        self._end(worker, expected=0)
        self.ledger.check_effects()

    def _answer_to(self, worker: Worker, do: str, *with_: str) -> Any:
        """Ask, and wait for just this answer; the others are heard on the way."""
        if not self._ask(worker, do, *with_):
            return None
        ticket = self.ledger.last_ticket
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            line = worker.next_line()
            if line is None:
                return None
            self.ledger.hear(line)
            if line.get("ticket") == ticket:
                return line.get("answer")
        return None

    def _until_finished(self, worker: Worker, cases: list[str]) -> bool:
        """Settle what is in doubt until every case is done."""
        deadline = time.monotonic() + DRAIN_SECONDS
        unfinished: dict[str, str] = {}
        while time.monotonic() < deadline:
            self._answer_to(worker, "settle")
            statuses = self._answer_to(worker, "statuses") or {}
            if Counter(statuses.values())["Running"] < SLEEPERS:
                self.violations.append("promise 1: a sleeper was lost")
            unfinished = {case: statuses.get(case, "missing") for case in cases}
            unfinished = {k: v for k, v in unfinished.items() if v != "Completed"}
            if not unfinished:
                return True
            worker.await_death(0.05)
        self.violations.append(f"These cases never end: {unfinished}; {self._log()}")
        return False

    def _check_histories(self, worker: Worker, cases: list[str]) -> None:
        had: dict[str, set[str]] = {case: set() for case in cases}
        for effect in self.ledger.effects():
            had[effect["case"]].add(effect["effect"])
        for case in cases:
            told = self._answer_to(worker, "history", case)
            if told is None:
                self.violations.append(f"The history of {case} cannot be read: {self._log()}")
                continue
            self.in_doubt += told["doubts"]
            self.ledger.check_history(case, told)
            self.ledger.check_effects_of(case, told, had[case])

    def _check_file(self) -> None:
        """SQLite's own word. The owner is gone, so that another connection does no harm."""
        database = apsw.Connection(str(self._file))
        try:
            sound = database.execute("PRAGMA integrity_check").fetchall()
            strays = database.execute("PRAGMA foreign_key_check").fetchall()
            leftover = database.execute(
                "SELECT count(*) FROM timers JOIN instances ON key = instance "
                "WHERE finished_at IS NOT NULL"
            ).fetchall()
        finally:
            database.close()
        if (sound, strays, leftover) != ([("ok",)], [], [(0,)]):
            self.violations.append(f"The file: {sound}, {strays}, timers of finished {leftover}")
        if "Traceback" in self._log():
            self.violations.append(f"The worker complained: {self._log()}")
