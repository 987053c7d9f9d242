"""An approval under any sequence of actions and any passing of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adjourn.approvals import machine
from adjourn.approvals.audit import fold
from adjourn.approvals.state import State
from adjourn.errors import Refusal
from adjourn.model import codec, events
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    ACT,
    Action,
    AddComment,
    AnswerQuestion,
    ApprovalRequest,
    Approve,
    Ask,
    Bounds,
    Cancel,
    Claim,
    Escalation,
    Reassign,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)
from adjourn.model.events import Event
from adjourn.model.state import HistoryEntry
from tests.approvals.desk import (
    ADA,
    BOT,
    ELI,
    EVE,
    GRACE,
    IVO,
    LENA,
    MAX,
    NOOR,
    OMAR,
    SAM,
    T0,
    asking,
    person,
)
from tests.properties.profiles import examples

pytestmark = pytest.mark.slow

BOSS = person("sam", "approver", "lead", "admin")
"""The requester again, with every power there is."""

EVERYBODY = [None, ADA, BOT, BOSS, ELI, EVE, GRACE, IVO, LENA, MAX, NOOR, OMAR, SAM]
MUST_NOT_DECIDE = {"sam", "eli", "bot", "eve", "ivo", "ada"}

# Few moments and few values, so that they meet.
MOMENTS = [5.0, 10.0, 20.0, 30.0, 40.0, 60.0]
CHANGES: list[dict[str, Any]] = [
    {},
    {"amount": "550"},
    {"amount": 550},
    {"amount": "600"},
    {"amount": "5000"},
    {"note": "worn", "amount": "1"},
    {"order_id": "B-1"},
]
TEXTS = ["ok", "why?", ""]
RECIPIENTS = [["group:finance"], ["lena", "omar"], ["role:lead"], ["sam"], []]

spans = st.sampled_from(MOMENTS)
requests = st.builds(
    asking,
    need=st.sampled_from([1, 1, 2, 3]),
    undo=st.sampled_from([0.0, 5.0, 15.0, 15.0]),
    expires=st.none() | st.sampled_from([30.0, 60.0]),
    remind=st.lists(spans, max_size=3),
    escalate=st.lists(
        st.builds(Escalation, after=spans, to=st.sampled_from([["role:lead"], ["eve"]])),
        max_size=2,
    ),
    editable=st.just({"amount": Bounds(maximum="1000"), "note": Bounds()}),
)
texts = st.sampled_from(TEXTS)
# The version that its author saw: how far behind the latest one.
behind = st.sampled_from([0, 0, 0, 0, 0, 1, -1])
actions: st.SearchStrategy[Action] = st.one_of(
    st.builds(Claim, version=behind),
    st.builds(Unclaim, version=behind),
    st.builds(Reassign, version=behind, to=st.sampled_from(RECIPIENTS)),
    st.builds(AddComment, version=behind, text=texts),
    st.builds(
        Ask, version=behind, question=texts, to=st.sampled_from(["", "eve", "group:finance"])
    ),
    st.builds(AnswerQuestion, version=behind, text=texts),
    st.builds(Approve, version=behind, changes=st.sampled_from(CHANGES), comment=texts),
    st.builds(Reject, version=behind, reason=texts),
    st.builds(Undo, version=behind),
    st.builds(Cancel, version=behind, reason=texts),
    st.builds(
        Snooze,
        version=behind,
        until=st.none() | spans.map(lambda seconds: T0 + timedelta(seconds=seconds)),
    ),
)


@dataclass(frozen=True)
class Step:
    """So much later this actor tries this; without an action only time passes."""

    later: float
    actor: Actor | None = None
    action: Action | None = None


# What goes through, often enough to get somewhere; and anything by anybody.
plausible: list[tuple[Actor | None, Action | None]] = [
    (None, None),
    (LENA, Claim(version=0)),
    (LENA, Unclaim(version=0)),
    (LENA, Ask(version=0, question="why?")),
    (SAM, AnswerQuestion(version=0, text="because")),
    (LENA, Approve(version=0)),
    (OMAR, Approve(version=0)),
    (NOOR, Approve(version=0, changes={"amount": "550"})),
    (GRACE, Reject(version=0, reason="no")),
    (GRACE, Undo(version=0)),
    (LENA, Undo(version=0)),
]
moves = st.sampled_from(plausible) | st.tuples(st.sampled_from(EVERYBODY), st.none() | actions)
steps = st.lists(
    st.builds(
        lambda later, move: Step(later, *move),
        st.sampled_from([0.0, 0.0, 0.0, 0.001, 1.0, 4.999, 5.0, 12.0, 40.0]),
        moves,
    ),
    min_size=8,
    max_size=25,
)


@dataclass
class Life:
    """One approval as its orchestrator leads it, with every state that it has had."""

    request: ApprovalRequest
    now: datetime = T0
    states: list[State] = field(default_factory=list[State])
    history: list[Event] = field(default_factory=list[Event])
    refused: int = 0

    def __post_init__(self) -> None:
        self.states.append(machine.open("A", self.request, T0))
        started = events.InstanceStarted(at=T0, name="x", input=codec.encode(self.request))
        self.history.append(started)

    @property
    def state(self) -> State:
        return self.states[-1]

    def seen(self, action: Action) -> Action:
        """With a version: its author saw the latest one, or another."""
        return replace(action, version=self.state.version - action.version)

    def take(self, step: Step) -> None:
        self.now += timedelta(seconds=step.later)
        self.pass_time()
        if step.action is None:
            return
        action = self.seen(step.action)
        id = str(len(self.history))
        received = events.UpdateReceived(
            at=self.now, name=ACT, update_id=id, data=codec.encode(action), by=step.actor
        )
        try:
            state, _ = machine.act(self.request, self.state, action, step.actor, self.now)
        except Refusal:
            self.refused += 1
            return
        self.states.append(state)
        self.history += [received, events.UpdateAccepted(at=self.now, update_id=id)]

    def pass_time(self) -> None:
        """The timer of its orchestrator fires, a little late."""
        state = machine.tick(self.request, self.state, self.now)
        if state != self.state:
            self.states.append(state)
            self.history.append(events.TimerFired(at=self.now, sequence=1))

    def rows(self) -> list[HistoryEntry]:
        return [
            HistoryEntry(execution=1, number=number, event=event, hash="")
            for number, event in enumerate(self.history, start=1)
        ]


def lived(request: ApprovalRequest, taken: list[Step]) -> Life:
    life = Life(request)
    for step in taken:
        life.take(step)
    return life


@given(requests, steps)
@examples(200)
def test_it_ends_once_and_for_good(request: ApprovalRequest, taken: list[Step]):
    life = lived(request, taken)

    endings = [state for state in life.states if state.final]
    assert len(endings) <= 1, "nothing happens to what is final"
    for end in endings:
        machine.outcome(request, end)
        assert machine.next_deadline(request, end) is None
        for actor in EVERYBODY:
            assert machine.allowed(request, end, actor, life.now) == []


@given(requests, steps)
@examples(200)
def test_the_version_goes_up_by_one_at_most_and_never_down(
    request: ApprovalRequest, taken: list[Step]
):
    life = lived(request, taken)

    for before, after in zip(life.states, life.states[1:], strict=False):
        assert after.version - before.version in (0, 1)
        assert after.changes[: len(before.changes)] == before.changes, "what happened stays"
    versions = [change.version for change in life.state.changes]
    assert versions == sorted(versions)
    moments = [change.at for change in life.state.changes]
    assert moments == sorted(moments)


@given(requests, steps, st.lists(st.floats(0, 200), min_size=2, max_size=2).map(sorted))
@examples(200)
def test_time_in_two_steps_is_time_in_one(
    request: ApprovalRequest, taken: list[Step], jumps: list[float]
):
    life = lived(request, taken)
    first, second = (life.now + timedelta(seconds=seconds) for seconds in jumps)

    between = machine.tick(request, life.state, first)

    assert machine.tick(request, between, first) == between
    assert machine.tick(request, between, second) == machine.tick(request, life.state, second)
    due = machine.next_deadline(request, between)
    assert due is None or due > first
    if due is not None:
        assert machine.tick(request, between, due) != between
        assert machine.tick(request, between, due - timedelta(microseconds=1)) == between


@given(requests, steps, st.sampled_from(EVERYBODY), actions, st.floats(0, 60))
@examples(300)
def test_what_is_refused_changes_nothing_and_both_doors_agree(
    request: ApprovalRequest,
    taken: list[Step],
    actor: Actor | None,
    action: Action,
    later: float,
):
    life = lived(request, taken)
    before = codec.encode(life.state)
    now = life.now + timedelta(seconds=later)
    action = life.seen(action)

    told: list[str] = []
    for door in (machine.check, machine.act):
        try:
            door(request, life.state, action, actor, now)
        except Refusal as refusal:
            codec.encode(refusal.details)
            told.append(f"{refusal.kind}: {refusal.reason}")
        else:
            told.append("done")

    assert told[0] == told[1]
    assert codec.encode(life.state) == before


@given(requests, steps)
@examples(200)
def test_only_people_who_may_decide_and_each_counts_once(
    request: ApprovalRequest, taken: list[Step]
):
    life = lived(request, taken)

    for state in life.states:
        assert MUST_NOT_DECIDE.isdisjoint(state.decided_by)
        assert MUST_NOT_DECIDE.isdisjoint(vote.by for vote in state.votes)
        assert len({vote.by for vote in state.votes}) == len(state.votes)
        assert {vote.digest for vote in state.votes} <= {state.digest}
        if state.status == "approved":
            assert state.decided_by == [vote.by for vote in state.votes]
            assert len(state.decided_by) == request.need
        elif state.status == "rejected":
            assert len(state.decided_by) == 1
            assert state.reason.strip()
        else:
            assert state.decided_by == []


@given(requests, steps)
@examples(200)
def test_the_digest_is_of_the_value_and_only_editable_fields_change(
    request: ApprovalRequest, taken: list[Step]
):
    life = lived(request, taken)

    for state in life.states:
        assert state.digest == sha256(bytes(codec.encode(state.value))).hexdigest()
        assert set(state.edited) <= set(request.editable)
        proposal = codec.decode(request.proposal, dict[str, Any])
        assert proposal | {name: state.value[name] for name in state.edited} == state.value
    if life.state.final and life.state.status == "approved":
        assert machine.outcome(request, life.state).digest == life.state.digest  # pyright: ignore[reportAttributeAccessIssue]


VALID: dict[str, Any] = {
    "claim": Claim(version=0),
    "unclaim": Unclaim(version=0),
    "reassign": Reassign(version=0, to=["group:support"]),
    "comment": AddComment(version=0, text="hm"),
    "ask": Ask(version=0, question="why?", to="eve"),
    "answer": AnswerQuestion(version=0, text="because"),
    "approve": Approve(version=0, comment="fine"),
    "reject": Reject(version=0, reason="no"),
    "undo": Undo(version=0),
    "cancel": Cancel(version=0, reason="void"),
    "snooze": Snooze(version=0, until=None),
}


@given(requests, steps, st.floats(0, 60))
@examples(200)
def test_a_button_that_is_shown_does_what_it_says_and_the_others_would_not(
    request: ApprovalRequest, taken: list[Step], later: float
):
    life = lived(request, taken)
    now = life.now + timedelta(seconds=later)
    state = machine.tick(request, life.state, now)
    life.states.append(state)

    for actor in EVERYBODY:
        words = machine.allowed(request, state, actor, now)
        for word, action in VALID.items():
            try:
                machine.act(request, state, life.seen(action), actor, now)
            except Refusal:
                assert word not in words
            else:
                assert word in words


@given(requests, steps)
@examples(200)
def test_the_audit_tells_the_same_state(request: ApprovalRequest, taken: list[Step]):
    life = lived(request, taken)

    audit = fold(life.rows(), id="A")

    assert audit.state == life.state
    told = [(entry.what, entry.at, entry.by) for entry in audit.entries]
    assert told == [(change.what, change.at, change.by) for change in life.state.changes]


WORDS = [
    *("claimed", "unclaimed", "reassigned", "commented", "asked", "answered", "voted", "approved"),
    *("rejected", "undone", "cancelled", "snoozed", "reminded", "escalated", "expired"),
    "took_effect",
]


@pytest.mark.parametrize("word", WORDS)
def test_the_sequences_reach_every_word(word: str):
    """Or the properties above would hold of little."""

    def says_it(given: tuple[ApprovalRequest, list[Step]]) -> bool:
        return any(change.what == word for change in lived(*given).state.changes)

    enough = settings(max_examples=10_000, phases=[Phase.generate])
    find(st.tuples(requests, steps), says_it, settings=enough)
