"""The outside ledger: what was acknowledged, what activities did, which promise that breaks.

It knows nothing of the engine: it compares what the worker said in different lives.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.workload import AFTER_APPROVAL, APPROVE, PAPERS

UNKNOWN_OUTCOME = {"EngineStoppedError"}


@dataclass
class Asked:
    """A line that was sent, and what was known when it was."""

    do: str
    case: str
    id: str
    acknowledged: bool
    started: bool


@dataclass
class CaseRecord:
    started: bool = False
    finished: bool = False
    events: set[str] = field(default_factory=set)
    answers: dict[str, Any] = field(default_factory=dict)


class OutsideLedger:
    def __init__(self, effects: Path) -> None:
        self.cases: dict[str, CaseRecord] = {}
        self.violations: list[str] = []
        self.acknowledged = 0
        self.lost = 0
        self.settled = 0
        self._effects = effects
        self._tickets: dict[int, Asked] = {}

    # Asking.

    def ticket(self, do: str, case: str, id: str = "") -> int:
        record = self.cases.setdefault(case, CaseRecord())
        known = {
            "start": record.started,
            "start_sleeper": record.started,
            "event": id in record.events,
            "update": id in record.answers,
        }.get(do, False)
        number = len(self._tickets) + 1
        self._tickets[number] = Asked(do, case, id, known, record.started)
        return number

    @property
    def last_ticket(self) -> int:
        return len(self._tickets)

    # Hearing.

    def hear(self, line: dict[str, Any]) -> None:
        if "taken_up" in line:
            self._check_taken_up(line["taken_up"])
            return
        asked = self._tickets[line["ticket"]]
        if "error" in line:
            self._refused(asked, line["error"], line["message"])
        else:
            self._answered(asked, line["answer"])

    def _answered(self, asked: Asked, answer: Any) -> None:
        record = self.cases[asked.case]
        match asked.do:
            case "start" | "start_sleeper":
                self._acknowledge(asked, again=answer is True)
                record.started = True
            case "event":
                self._acknowledge(asked, again=answer == "accepted")
                record.events.add(asked.id)
            case "update":
                self._acknowledge(asked, again=answer != record.answers.get(asked.id, answer))
                self._decided(asked, answer)
            case "settle":
                self.settled += answer
            case _:
                pass

    def _acknowledge(self, asked: Asked, *, again: bool) -> None:
        """`again`: what had been acknowledged before was answered as if it were new."""
        self.acknowledged += 1
        if asked.acknowledged and again:
            self.lost += 1
            self.violations.append(f"promise 1: {asked} was lost: it was accepted a second time")

    def _decided(self, asked: Asked, answer: Any) -> None:
        record = self.cases[asked.case]
        record.answers[asked.id] = answer
        if answer["by"] != asked.id or len(record.answers) > 1:
            self.violations.append(f"promise 4: {asked.case} was decided by {record.answers}")

    def _refused(self, asked: Asked, error: str, message: str) -> None:
        record = self.cases[asked.case]
        if error in UNKNOWN_OUTCOME:
            return
        if asked.acknowledged:
            self.lost += 1
            self.violations.append(f"promise 1: {asked} was lost: {message}")
        elif error == "InstanceNotFoundError":
            if asked.started:
                self.lost += 1
                self.violations.append(f"promise 1: the start of {asked.case} was lost: {message}")
        elif error == "InstanceFinishedError":
            record.finished = True
        elif error != "UpdateRefusedError" and asked.do != "settle":
            self.violations.append(f"{asked} was answered {error}: {message}")

    def _check_taken_up(self, ids: list[str]) -> None:
        for id in ids:
            record = self.cases.get(id)
            if id.startswith("sleeper") or (record is not None and record.finished):
                self.violations.append(f"promise 5: a start took up {id}, which was not in flight")

    # Effects.

    def effects(self) -> list[dict[str, Any]]:
        if not self._effects.exists():
            return []
        lines = self._effects.read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def check_effects(self) -> None:
        """Promise 3, as far as the effects alone can tell."""
        attempts: Counter[tuple[str, int]] = Counter()
        keys: dict[tuple[str, str], set[str]] = {}
        wires: Counter[str] = Counter()
        for effect in self.effects():
            attempts[effect["key"], effect["attempt"]] += 1
            keys.setdefault((effect["case"], effect["effect"]), set()).add(effect["key"])
            wires[effect["case"]] += effect["effect"] == "wire"
        for attempt, times in attempts.items():
            if times > 1:
                self.violations.append(f"promise 3: attempt {attempt} was started {times} times")
        for call, used in keys.items():
            if len(used) > 1:
                self.violations.append(f"promise 3: {call} was called with several keys: {used}")
        for case, times in wires.items():
            if times > 1:
                self.violations.append(f"promise 3: at most once, but {case} was wired {times} x")

    def repeated_calls(self) -> int:
        """Calls beyond the first of each key, the planned failure of `flaky` apart."""
        seen: Counter[str] = Counter()
        for effect in self.effects():
            seen[effect["key"]] += not (effect["effect"] == "flaky" and effect["attempt"] == 1)
        return sum(times - 1 for times in seen.values() if times)

    # The end.

    def check_history(self, case: str, told: dict[str, Any]) -> None:
        """What the file says of a case, once all has been drained, against what we were told."""
        record = self.cases[case]
        if told["status"] != "Completed":
            self.violations.append(f"{case} is stuck: {told['status']}, {told['problem']}")
            return
        times = Counter(told["events"])
        for event_id in record.events - times.keys():
            self.lost += 1
            self.violations.append(f"promise 1: {event_id} of {case} is not in the file")
        if any(count > 1 for count in times.values()) or sorted(told["result"]) != sorted(PAPERS):
            self.violations.append(f"promise 2: {case} took {times}, and told {told['result']}")
        if len(told["accepted"]) != 1:
            self.violations.append(f"promise 4: {case} was decided {told['accepted']}")
        for update_id, answer in record.answers.items():
            if [update_id, answer["decision"]] not in told["accepted"]:
                self.lost += 1
                self.violations.append(f"promise 1: decision {update_id} of {case} was lost")

    def check_effects_of(self, case: str, told: dict[str, Any], had: set[str]) -> None:
        """Effects happened where they were approved, at least once, and nowhere else."""
        approved = [decision for _, decision in told["accepted"]] == [APPROVE]
        wanted = set(AFTER_APPROVAL) if approved else set()
        extra = (had - {"opened"}) - wanted
        if extra:
            self.violations.append(f"promise 3: {case} had {extra}, which nobody approved")
        missing = (wanted | {"opened"}) - had - ({"wire"} if told["doubts"] else set())
        if missing:
            self.violations.append(f"promise 3: {case} is done without {missing}")
