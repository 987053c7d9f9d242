"""The rules of an approval: who may do what, when, with which words; and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pydantic
import pytest

from adjourn.approvals import machine
from adjourn.approvals.authority import RULES
from adjourn.errors import Refusal
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    Action,
    AddComment,
    AnswerQuestion,
    Approve,
    Approved,
    Ask,
    AutoDecision,
    Bounds,
    Cancel,
    Cancelled,
    Claim,
    Escalation,
    Expired,
    Reassign,
    Reject,
    Rejected,
    Snooze,
    Unclaim,
    Undo,
)
from tests.approvals.desk import (
    ADA,
    BOT,
    DAY,
    ELI,
    EVE,
    GRACE,
    IVO,
    LENA,
    MAX,
    NOOR,
    OMAR,
    REFUND,
    SAM,
    T0,
    Desk,
    asking,
    at,
    person,
)

# Opening.


def test_spans_of_the_request_become_moments():
    desk = Desk(due=3600, expires=7 * DAY, remind=[DAY])

    assert desk.state.due_at == at(3600)
    assert desk.state.expires_at == at(7 * DAY)
    assert machine.next_deadline(desk.request, desk.state) == at(DAY)


def test_without_any_span_nothing_ever_happens_by_itself():
    desk = Desk()

    assert machine.next_deadline(desk.request, desk.state) is None
    assert desk.wait(10_000 * DAY).status == "open"


def test_a_span_beyond_the_calendar_ends_with_it():
    desk = Desk(expires=1e15)

    assert desk.state.expires_at == datetime.max.replace(tzinfo=T0.tzinfo)


def test_the_digest_is_of_the_canonical_json_that_was_shown():
    desk = Desk()

    assert desk.state.digest == sha256(bytes(desk.request.proposal)).hexdigest()
    assert desk.state.digest == sha256(bytes(codec.encode(desk.state.value))).hexdigest()


def test_a_policy_decides_at_once_and_for_good():
    auto = AutoDecision(policy="small_refund", version="3", reason="under $50")
    desk = Desk(auto=auto, expires=DAY, remind=[60], recheck=None)

    assert desk.state.final
    assert machine.next_deadline(desk.request, desk.state) is None
    assert desk.happened() == ["opened", "approved"]
    assert desk.outcome == Approved(
        id="A-104",
        at=T0,
        value=desk.state.value,
        by=[],
        comment="under $50",
        policy="small_refund 3",
        digest=desk.state.digest,
    )
    late = desk.refused(LENA, Reject, reason="no")
    assert late.reason.startswith(
        "Already approved by policy small_refund 3 at 2026-11-23T10:00:00Z"
    )
    assert "took effect" in desk.refused(LENA, Undo).reason


# Every action, in every status, by every kind of actor.

SAMPLES: dict[str, Callable[[int], Action]] = {
    "claim": lambda version: Claim(version=version),
    "unclaim": lambda version: Unclaim(version=version),
    "reassign": lambda version: Reassign(version=version, to=["group:support"]),
    "comment": lambda version: AddComment(version=version, text="hm"),
    "ask": lambda version: Ask(version=version, question="why?"),
    "answer": lambda version: AnswerQuestion(version=version, text="because"),
    "approve": lambda version: Approve(version=version),
    "reject": lambda version: Reject(version=version, reason="no"),
    "undo": lambda version: Undo(version=version),
    "cancel": lambda version: Cancel(version=version),
    "snooze": lambda version: Snooze(version=version, until=at(10 * DAY)),
}

# "." is allowed; "holder" is where nobody else holds it; "decider" is where nobody else decided.
AUTHORITY: dict[str, tuple[Actor | None, str]] = {
    # claim unclaim reassign comment ask answer approve reject undo cancel snooze
    "nobody": (None, "signed_in " * 11),
    "outsider": (
        EVE,
        "role not_holder role not_addressed role not_asked role role not_decider not_requester "
        "role",
    ),
    "auditor": (
        IVO,
        "role not_holder role . role not_asked role role not_decider not_requester role",
    ),
    "lena": (LENA, ". holder . . . not_asked . . decider not_requester ."),
    "omar": (OMAR, ". holder . . . not_asked . . decider not_requester ."),
    "lead": (GRACE, ". . . . . . . . . . ."),
    "lead elsewhere": (
        MAX,
        "not_addressed . . . not_addressed . not_addressed not_addressed . . not_addressed",
    ),
    "admin": (ADA, "role . . . role not_asked role role not_decider . role"),
    "requester": (SAM, "role not_holder role . role . role role not_decider . role"),
    "excluded": (
        ELI,
        "excluded not_holder excluded . excluded not_asked excluded excluded not_decider "
        "not_requester excluded",
    ),
    "agent": (
        BOT,
        "agent not_holder agent agent agent not_asked agent agent not_decider not_requester agent",
    ),
}

# "." goes; "!" is a conflict; "h" is one unless the actor holds it; "f" is one if they do.
MOMENT = {
    # claim unclaim reassign comment ask answer approve reject undo cancel snooze
    "open": ". ! . . . ! . . ! . .",
    "claimed": "! . . . . ! h h ! . .",
    "info_requested": ". ! . . . . . . ! . .",
    "info_requested, held": "! . . . . . h h ! . .",
    "voted": ". ! . . . ! . . ! . .",
    "approved": "! ! ! . ! ! ! ! . ! !",
    "rejected": "! ! ! . ! ! ! ! . ! !",
    "approved, final": "! ! ! ! ! ! ! ! ! ! !",
    "rejected, final": "! ! ! ! ! ! ! ! ! ! !",
    "expired": "! ! ! ! ! ! ! ! ! ! !",
    "cancelled": "! ! ! ! ! ! ! ! ! ! !",
    "superseded": "! ! ! ! ! ! ! ! ! ! !",
}


def in_status(status: str) -> Desk:
    """A desk where lena brought the question into this status."""
    desk = Desk(expires=DAY, need=2 if status == "voted" else 1)
    match status:
        case "claimed":
            desk.act(LENA, Claim)
        case "info_requested":
            desk.act(LENA, Ask, question="why?")
        case "info_requested, held":
            desk.act(LENA, Ask, question="why?")
            desk.act(LENA, Claim)
        case "voted" | "approved" | "approved, final" | "superseded":
            desk.act(LENA, Approve)
        case "rejected" | "rejected, final":
            desk.act(LENA, Reject, reason="no")
        case "cancelled":
            desk.act(SAM, Cancel)
        case _:
            pass
    if status in ("expired",):
        desk.wait(DAY)
    elif status.endswith("final") or status == "superseded":
        desk.wait(3600)
    if status == "superseded":
        desk.state = machine.supersede(desk.request, desk.state, 1, 2, at(3600))
    return desk


def expected(status: str, who: str, word: str, desk: Desk) -> str:
    """What the two tables say: "." or a rule, or "conflict"."""
    actor, rules = AUTHORITY[who]
    column = list(SAMPLES).index(word)
    rule = rules.split()[column]
    id = "" if actor is None else actor.id
    if rule == "holder":
        rule = "." if desk.state.holder in ("", id) else "not_holder"
    if rule == "decider":
        rule = "." if not desk.state.decided_by or id in desk.state.decided_by else "not_decider"
    if status == "voted" and who == "lena" and word in ("approve", "claim"):
        rule = "already_voted"
    if rule != ".":
        return rule
    moment = MOMENT[status].split()[column]
    if moment == "h":
        return "." if desk.state.holder == id else "conflict"
    return "." if moment == "." else "conflict"


@pytest.mark.parametrize(("status", "who"), list(product(MOMENT, AUTHORITY)))
def test_every_action_in_every_status_by_every_kind_of_actor(status: str, who: str):
    desk = in_status(status)
    actor, _ = AUTHORITY[who]
    now = desk.state.changes[-1].at
    found: dict[str, str] = {}

    for word, make in SAMPLES.items():
        action = make(desk.state.version)
        try:
            machine.act(desk.request, desk.state, action, actor, now)
        except Refusal as refusal:
            found[word] = str(refusal.details.get("rule", refusal.kind))
        else:
            found[word] = "."

    assert found == {word: expected(status, who, word, desk) for word in SAMPLES}
    buttons = machine.allowed(desk.request, desk.state, actor, now)
    assert buttons == [word for word, told in found.items() if told == "."]


# 403: authority.


def test_a_refusal_names_its_rule_and_nothing_of_the_case():
    desk = Desk()
    desk.act(LENA, Claim)

    refusal = desk.refused(EVE, Approve)

    assert refusal.kind == "forbidden"
    assert refusal.reason == RULES["role"]
    assert refusal.details == {"rule": "role"}


@pytest.mark.parametrize(
    ("actor", "rule"),
    [
        (None, "signed_in"),
        (person("", "approver"), "signed_in"),
        (person("bot", "approver", "lead", "admin", agent=True), "agent"),
        (person("sue", "approver", groups=["agents"]), "not_addressed"),
        (person("ivo", "auditor", "viewer", "admin"), "role"),
        (person("sam", "approver", "lead"), "own_request"),
        (person("eli", "approver", "lead"), "excluded"),
    ],
)
def test_who_must_not_decide_may_not_by_any_door(actor: Actor | None, rule: str):
    desk = Desk()

    for action in (Approve, Claim):
        assert desk.refused(actor, action).details == {"rule": rule}
    assert not machine.may_decide(desk.request, desk.state, actor)


@pytest.mark.parametrize("to", ["lena", "group:finance", "role:approver"])
def test_one_is_addressed_by_id_by_group_or_by_role(to: str):
    desk = Desk(to=[to])

    assert machine.may_decide(desk.request, desk.state, LENA)
    assert not machine.may_decide(desk.request, desk.state, person("li", "lead", groups=()))


@pytest.mark.parametrize("excluded", ["lena", "group:finance", "role:approver"])
def test_one_is_excluded_by_id_by_group_or_by_role(excluded: str):
    desk = Desk(not_by=[excluded])

    assert desk.refused(LENA, Approve).details == {"rule": "excluded"}


def test_a_person_named_like_a_group_is_not_that_group():
    desk = Desk()
    impostor = person("group:finance", "approver", groups=())

    assert desk.refused(impostor, Approve).details == {"rule": "not_addressed"}


def test_a_group_lost_between_view_and_click_is_lost():
    desk = Desk()
    assert machine.may_decide(desk.request, desk.state, LENA)

    refusal = desk.refused(person("lena", "approver", groups=()), Approve)

    assert refusal.details == {"rule": "not_addressed"}


@pytest.mark.parametrize(
    ("actor", "sees"),
    [
        (None, False),
        (person(""), False),
        (EVE, False),
        (IVO, True),
        (SAM, True),
        (person("sam", groups=()), True),
        (person("fay", groups=["finance"]), True),
        (person("bot", groups=["finance"], agent=True), True),
    ],
)
def test_who_may_view(actor: Actor | None, sees: bool):
    desk = Desk()

    assert machine.may_view(desk.request, desk.state, actor) is sees


def test_who_is_asked_sees_what_they_are_asked_about():
    desk = Desk()

    desk.act(LENA, Ask, question="was it broken?", to="eve")

    assert machine.may_view(desk.request, desk.state, EVE)
    assert machine.allowed(desk.request, desk.state, EVE, at(1)) == ["comment", "answer"]


def test_an_agent_that_asked_may_cancel_and_answer_and_nothing_more():
    bot = person("bot", groups=(), agent=True)
    desk = Desk(requester="bot")
    desk.act(LENA, Ask, question="why?")

    assert machine.allowed(desk.request, desk.state, bot, at(1)) == ["answer", "cancel"]


@pytest.mark.parametrize("steward", [MAX, ADA])
def test_a_lead_or_an_admin_keeps_the_queue_in_order_where_nothing_is_addressed_to_them(
    steward: Actor,
):
    desk = Desk()
    desk.act(LENA, Claim)

    desk.act(steward, Unclaim)
    desk.act(steward, Reassign, to=["omar"])
    desk.act(steward, Cancel)

    assert desk.happened() == ["opened", "claimed", "unclaimed", "reassigned", "cancelled"]


def test_one_person_counts_once_by_web_and_by_teams():
    desk = Desk(need=2)
    desk.act(LENA, Approve)

    again = desk.refused(person("lena", "approver", channel="teams"), Approve)

    assert again.kind == "forbidden"
    assert again.details == {"rule": "already_voted"}


# 409: the moment.


def test_who_comes_second_learns_who_decided_and_when():
    desk = Desk()
    seen = desk.state.version
    desk.act(LENA, Approve, after=240, comment="fine")

    late = desk.refused(OMAR, Reject, after=241, version=seen, reason="no")

    assert late.kind == "conflict"
    assert late.reason == "Already approved by lena at 2026-11-23T10:04:00Z; nothing changed."
    assert late.details == {
        "status": "approved",
        "version": 2,
        "by": ["lena"],
        "at": "2026-11-23T10:04:00Z",
        "since": [
            {"what": "approved", "by": "lena", "at": "2026-11-23T10:04:00Z", "detail": "fine"}
        ],
    }


def test_a_stale_version_tells_what_changed_since():
    desk = Desk()
    desk.act(LENA, Claim, after=1)
    desk.act(LENA, Unclaim, after=2)
    desk.act(OMAR, AddComment, after=3, text="look at line 2")
    desk.act(OMAR, Reassign, after=4, to=["group:finance"], comment="yours")

    stale = desk.refused(NOOR, Approve, after=5, version=2)

    assert stale.kind == "conflict"
    assert stale.reason == (
        "It has changed: reassigned by omar at 2026-11-23T10:00:04Z. Look again; nothing changed."
    )
    assert (stale.details["by"], stale.details["at"]) == (["omar"], "2026-11-23T10:00:04Z")
    assert [(each["what"], each["detail"]) for each in stale.details["since"]] == [
        ("unclaimed", ""),
        ("commented", "look at line 2"),
        ("reassigned", "to group:finance: yours"),
    ]


def test_a_version_that_does_not_exist_yet_is_a_conflict_as_well():
    refusal = Desk().refused(LENA, Approve, version=7)

    assert refusal.kind == "conflict"
    assert refusal.details["since"] == []


def test_a_conflict_stays_small_however_much_happened():
    desk = Desk()
    desk.act(LENA, Claim)
    for _ in range(120):
        desk.act(OMAR, AddComment, text="x" * 4_000)

    refusal = desk.refused(OMAR, Reassign, version=1, to=["omar"])

    assert len(codec.encode(refusal.details)) < 10_000


def test_what_another_holds_is_theirs_to_decide():
    desk = Desk()
    desk.act(LENA, Claim, after=60)

    for action, fields in ((Claim, {}), (Approve, {}), (Reject, {"reason": "no"})):
        refusal = desk.refused(OMAR, action, after=61, **fields)
        assert refusal.reason == "Claimed by lena at 2026-11-23T10:01:00Z; nothing changed."
        assert refusal.details["by"] == ["lena"]
    assert desk.refused(LENA, Claim).reason.startswith("Claimed by you")
    assert desk.act(LENA, Approve).status == "approved"


def test_the_digest_of_another_value_is_refused():
    desk = Desk()

    other = desk.refused(LENA, Approve, digest="0" * 64)

    assert other.kind == "conflict"
    assert "not the value that you saw" in other.reason
    assert desk.refused(LENA, Approve, digest="0" * 64, changes={"amount": "5"}).kind == "conflict"
    assert desk.act(LENA, Approve, digest=desk.state.digest).status == "approved"


def test_an_edit_may_name_the_digest_of_the_value_that_was_shown():
    desk = Desk()

    assert desk.act(LENA, Approve, digest=desk.state.digest, changes={"amount": "5"}).final is False


def test_a_comment_and_a_snooze_look_at_no_version_and_change_none():
    desk = Desk()
    desk.act(LENA, Claim)

    comment = desk.act(OMAR, AddComment, version=1, text="hm")
    snooze = desk.act(OMAR, Snooze, version=99, until=at(DAY))

    assert (comment.version, snooze.version) == (2, 2)


def test_a_decision_can_be_commented_until_it_takes_effect():
    desk = Desk()
    desk.act(LENA, Approve, after=0)

    desk.act(OMAR, AddComment, after=9, text="are you sure?")

    assert desk.refused(OMAR, AddComment, after=10, text="too late").kind == "conflict"


@pytest.mark.parametrize("decision", [Approve, Reject])
def test_an_undo_counts_until_the_millisecond_before_it_takes_effect(decision: type[Action]):
    desk = Desk()
    fields = {"reason": "no"} if decision is Reject else {}
    answer = desk.act(LENA, decision, after=5, **fields)
    assert answer.effective_at == at(15)
    assert not answer.final

    for after in (15, 15.001):
        late = desk.refused(LENA, Undo, after=after)
        assert late.kind == "conflict"
        assert late.reason == (
            "It took effect at 2026-11-23T10:00:15Z and can no longer be taken back; "
            "nothing changed."
        )
        assert late.details["at"] == "2026-11-23T10:00:15Z"
        assert late.details["by"] == ["lena"]

    assert desk.act(LENA, Undo, after=14.999).status == "open"


def test_fifty_decide_at_once_and_one_counts():
    desk = Desk()
    people = [person(f"p{number}", "approver") for number in range(25)] * 2
    kinds: list[str] = []

    for who in people:
        try:
            desk.state, _ = machine.act(desk.request, desk.state, Approve(version=1), who, at(1))
            kinds.append("done")
        except Refusal as refusal:
            kinds.append(refusal.kind)

    assert kinds == ["done"] + ["conflict"] * 49


def test_twenty_may_snooze_and_who_is_over_it_makes_room():
    desk = Desk()
    crowd = [person(f"p{number}", "approver") for number in range(21)]
    for who in crowd[:20]:
        desk.act(who, Snooze, after=1, until=at(100))

    assert desk.refused(crowd[20], Snooze, after=2, until=at(200)).kind == "conflict"
    desk.act(crowd[0], Snooze, after=2, until=at(150))
    desk.act(crowd[20], Snooze, after=100, until=at(200))

    assert desk.state.snoozed == {"p0": at(150), "p20": at(200)}


def test_a_snooze_is_brought_back():
    desk = Desk()
    desk.act(LENA, Snooze, until=at(DAY))
    desk.act(OMAR, Snooze, until=at(DAY))

    desk.act(LENA, Snooze, until=None)

    assert desk.state.snoozed == {"omar": at(DAY)}


# 422: content.


@pytest.mark.parametrize(
    ("action", "fields", "field", "told"),
    [
        (AddComment, {"text": " \n"}, "text", "must not be empty"),
        (AddComment, {"text": "x" * 4_001}, "text", "has 4,001 characters; 4,000 at most"),
        (Ask, {"question": ""}, "question", "must not be empty"),
        (Ask, {"question": "x" * 4_001}, "question", "4,000 at most"),
        (Ask, {"question": "?", "to": "group:"}, "to", "no person's id"),
        (Ask, {"question": "?", "to": "role:boss"}, "to", "no person's id"),
        (Reject, {"reason": "  "}, "reason", "must not be empty"),
        (Reject, {"reason": "x" * 4_001}, "reason", "4,000 at most"),
        (Cancel, {"reason": "x" * 4_001}, "reason", "4,000 at most"),
        (Approve, {"comment": "x" * 4_001}, "comment", "4,000 at most"),
        (Approve, {"changes": {"order_id": "A-1"}}, "order_id", "cannot be changed"),
        (Approve, {"changes": {"payee": "me"}}, "payee", "cannot be changed"),
        (Approve, {"changes": {"amount": "1000.01"}}, "amount", "must be at most 1000"),
        (Approve, {"changes": {"amount": "0.009"}}, "amount", "must be at least 0.01"),
        (Approve, {"changes": {"amount": "all of it"}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": "NaN"}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": "1_000"}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": "9" * 101}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": True}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": None}}, "amount", "must be a number"),
        (Approve, {"changes": {"amount": ["5"]}}, "amount", "must be a number"),
        (Approve, {"changes": {"copies": 10}}, "copies", "maximum of 9"),
        (Approve, {"changes": {"copies": 1.5}}, "copies", "integer"),
        (Approve, {"changes": {"method": "cash"}}, "method", '"bank" or "card"'),
        (Approve, {"changes": {"note": 5}}, "note", '5 is not of type "string"'),
        (Approve, {"changes": {"lines": [{"name": 3, "count": 1}]}}, "lines.0.name", "string"),
        (Approve, {"changes": {"lines": [{"name": "x"}]}}, "lines.0.count", "is required"),
        (Approve, {"changes": {"rate": float("nan")}}, "rate", "NaN"),
        (Approve, {"changes": {"note": "x" * 300_000}}, "note", "bytes"),
        (Reassign, {"to": []}, "to", "must name somebody"),
        (Reassign, {"to": [f"p{n}" for n in range(33)]}, "to", "names 33; 32 at most"),
        (Reassign, {"to": ["lena", "team:finance"]}, "to", "'team:finance' is no person's id"),
        (Reassign, {"to": ["role:boss"]}, "to", "'role:boss' is no person's id"),
        (Reassign, {"to": ["sam", "eli"]}, "to", "must not decide"),
        (Reassign, {"to": ["omar"], "comment": "x" * 4_001}, "comment", "4,000 at most"),
        (Snooze, {"until": at(1)}, "until", "later than now"),
        (Snooze, {"until": at(DAY).replace(tzinfo=None)}, "until", "time zone"),
    ],
)
def test_wrong_content_names_the_field_and_changes_nothing(
    action: type[Action], fields: dict[str, Any], field: str, told: str
):
    editable = dict.fromkeys(["copies", "method", "note", "lines", "rate"], Bounds())
    amount = {"amount": Bounds(minimum="0.01", maximum="1000")}
    desk = Desk(editable=editable | amount)

    refusal = desk.refused(GRACE, action, **fields)

    assert refusal.kind == "invalid"
    assert list(refusal.details["fields"]) == [field]
    assert told in refusal.details["fields"][field]
    assert field in refusal.reason


def test_a_question_to_nobody_needs_a_requester():
    desk = Desk(requester="")

    assert "to" in desk.refused(LENA, Ask, question="why?").details["fields"]
    assert desk.act(LENA, Ask, question="why?", to="group:support").status == "info_requested"


def test_every_wrong_field_is_told_at_once():
    desk = Desk(editable={"amount": Bounds(maximum="10"), "copies": Bounds()})

    changes = {"amount": "11", "copies": 0, "order_id": "B-1"}
    refusal = desk.refused(LENA, Approve, changes=changes, comment="x" * 4_001)

    assert set(refusal.details["fields"]) == {"amount", "copies", "order_id", "comment"}


def test_a_refusal_stays_small_however_much_is_wrong():
    desk = Desk(editable={"lines": Bounds()})

    refusal = desk.refused(LENA, Approve, changes={"lines": [{"name": "x" * 999}] * 999})

    assert len(codec.encode(refusal.details)) < 40_000
    assert len(refusal.reason) < 4_000


def test_bounds_are_compared_exactly():
    desk = Desk(editable={"amount": Bounds(maximum="0.3")})

    assert desk.refused(LENA, Approve, changes={"amount": "0.30000000000000000001"})
    assert desk.act(LENA, Approve, changes={"amount": "0.30"}).status == "approved"


def test_a_bound_that_is_no_number_lets_nothing_through():
    desk = Desk(editable={"amount": Bounds(maximum="plenty")})

    refusal = desk.refused(LENA, Approve, changes={"amount": "5"})

    assert refusal.details["fields"]["amount"] == (
        "cannot be changed: its limit 'plenty' is no number"
    )


def test_a_form_that_cannot_be_read_lets_nothing_through():
    for broken in ({"type": "nonsense"}, {"$ref": "https://example.invalid/form"}):
        desk = Desk(form=codec.encode(broken))

        refusal = desk.refused(LENA, Approve, changes={"amount": "5"})

        assert "form cannot be read" in refusal.details["fields"]["amount"]
        assert desk.act(LENA, Approve).status == "approved"


@pytest.mark.parametrize(
    ("field", "typed", "written"),
    [
        ("amount", "551", "551"),
        ("amount", 550, "550"),
        ("amount", 550.5, "550.5"),
        ("amount", "550.00", "550.00"),
        ("amount", "+007", "7"),
        ("amount", Decimal("12.5"), "12.5"),
        ("amount", "0.00000001", "1E-8"),
        ("copies", 3.0, 3),
        ("rate", 1, 1.0),
        ("note", "because", "because"),
        ("note", None, None),
    ],
)
def test_what_is_typed_is_written_as_the_type_would_write_it(field: str, typed: Any, written: Any):
    """Otherwise the workflow, which reads the value as its type, executes another digest."""
    desk = Desk(
        editable={"amount": Bounds(), "copies": Bounds(), "rate": Bounds(), "note": Bounds()}
    )

    desk.act(LENA, Approve, changes={field: typed})

    value = desk.state.value[field]
    assert (value, type(value)) == (written, type(written))
    as_type = msgspec.json.decode(codec.encode(desk.state.value), type=type(REFUND))
    assert sha256(bytes(codec.encode(as_type))).hexdigest() == desk.state.digest


@dataclass
class Meeting:
    id: UUID
    day: date
    starts: Annotated[datetime, msgspec.Meta(tz=True)]


@pytest.mark.parametrize("field", ["id", "day", "starts"])
def test_what_its_type_could_not_read_is_refused(field: str):
    editable = {"id": Bounds(), "day": Bounds(), "starts": Bounds()}
    desk = Desk(asking(Meeting(UUID(int=7), T0.date(), T0), editable=editable))
    right = {"id": str(UUID(int=8)), "day": "2026-12-24", "starts": "2026-12-24T10:00:00+01:00"}

    assert field in desk.refused(LENA, Approve, changes={field: "tomorrow"}).details["fields"]
    desk.act(LENA, Approve, changes={field: right[field]})

    codec.decode(codec.encode(desk.state.value), Meeting)


class Transfer(pydantic.BaseModel):
    amount: Decimal
    share: float | None = None
    parts: list[dict[str, int]] = []


def test_a_pydantic_form_is_as_strict():
    form = codec.encode(Transfer.model_json_schema())
    editable = {"amount": Bounds(), "share": Bounds(), "parts": Bounds()}
    desk = Desk(asking(Transfer(amount=Decimal("600")), form=form, editable=editable))

    wrong = desk.refused(LENA, Approve, changes={"amount": "lots", "parts": [{"a": "x"}]})
    desk.act(LENA, Approve, changes={"amount": 550, "share": 1})

    assert set(wrong.details["fields"]) == {"amount", "parts.0.a"}
    assert desk.state.value == {"amount": "550", "share": 1.0, "parts": []}
    as_type = Transfer.model_validate(desk.state.value)
    assert sha256(bytes(codec.encode(as_type))).hexdigest() == desk.state.digest


def test_what_the_proposal_itself_does_not_satisfy_is_not_held_against_the_reviewer():
    """Some types write what their own schema does not describe: an untouched field may."""
    form = {"type": "object", "properties": {"order_id": {"type": "integer"}}, "required": ["x"]}
    desk = Desk(form=codec.encode(form))

    assert desk.act(LENA, Approve, changes={"amount": "5"}).status == "approved"


def test_a_rule_over_several_fields_is_told_for_those_that_were_changed():
    form = {"type": "object", "not": {"properties": {"amount": {"const": "5"}}}}
    desk = Desk(form=codec.encode(form))

    assert list(desk.refused(LENA, Approve, changes={"amount": "5"}).details["fields"]) == [
        "amount"
    ]
    assert desk.act(LENA, Approve, changes={"amount": "6"}).status == "approved"


def test_a_field_that_the_form_does_not_know_is_named():
    lines = {"type": "array", "items": {"properties": {"a": {}}, "additionalProperties": False}}
    editable = {"lines": Bounds()}
    desk = Desk(form=codec.encode({"properties": {"lines": lines}}), editable=editable)

    refusal = desk.refused(LENA, Approve, changes={"lines": [{"a": 1, "b": 2}]})

    assert refusal.details["fields"] == {"lines.0.b": "is not in the form"}


def test_a_form_may_say_its_types_in_any_way_that_json_schema_has():
    form = {
        "$ref": "#/$defs/a~1b",
        "$defs": {
            "a/b": {
                "properties": {
                    "rate": {"type": ["number", "null"]},
                    "copies": {"allOf": [{"$ref": "#/$defs/whole"}]},
                    "note": {"anyOf": [{"$ref": "#/$defs/note"}]},
                }
            },
            "whole": {"type": "integer"},
            "note": {"anyOf": [{"$ref": "#/$defs/note"}, {"type": "string"}]},
        },
    }
    editable = {"rate": Bounds(), "copies": Bounds(), "note": Bounds()}
    desk = Desk(form=codec.encode(form), editable=editable)

    desk.act(LENA, Approve, changes={"rate": 2, "copies": 3.0, "note": "x"})

    assert [type(desk.state.value[name]) for name in editable] == [float, int, str]


def test_a_form_that_only_refers_to_itself_says_nothing_of_types():
    form = codec.encode({"$ref": "#"})

    refusal = Desk(form=form).refused(LENA, Approve, changes={"amount": "lots"})

    assert "amount" in refusal.details["fields"]  # the bounds say that it is a number


OLD_PYDANTIC = r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"


def test_a_pattern_may_look_ahead_but_not_for_ever():
    patterns = {"amount": OLD_PYDANTIC, "note": "^(?=(a|a)*c)a"}
    properties = {name: {"type": "string", "pattern": each} for name, each in patterns.items()}
    editable = dict.fromkeys(patterns, Bounds())
    desk = Desk(form=codec.encode({"properties": properties}), editable=editable)

    slow = desk.refused(LENA, Approve, changes={"note": "a" * 40 + "b"})

    assert list(slow.details["fields"]) == ["note"]
    assert desk.refused(LENA, Approve, changes={"amount": "-"}).details["fields"]["amount"]
    assert desk.act(LENA, Approve, changes={"amount": "12.5", "note": "aac"}).status == "approved"


def test_a_form_reads_no_file(tmp_path: Path):
    (tmp_path / "form.json").write_text("{}")
    desk = Desk(form=codec.encode({"$ref": (tmp_path / "form.json").as_uri()}))

    refusal = desk.refused(LENA, Approve, changes={"amount": "5"})

    assert "form cannot be read" in refusal.details["fields"]["amount"]


# The order of checks.


def test_authority_comes_before_the_moment_and_the_moment_before_the_content():
    desk = Desk()
    desk.act(LENA, Claim)
    wrong: dict[str, Any] = {"version": 1, "changes": {"order_id": "B"}, "comment": "x" * 5_000}

    assert desk.refused(EVE, Approve, **wrong).kind == "forbidden"
    assert desk.refused(LENA, Approve, **wrong).kind == "conflict"
    assert desk.refused(LENA, Approve, **(wrong | {"version": 2})).kind == "invalid"


def test_time_passes_before_anything_is_checked():
    desk = Desk(expires=60, escalate=[Escalation(after=30, to=["role:lead"])])

    assert desk.refused(MAX, Claim, after=29).details == {"rule": "not_addressed"}
    machine.check(desk.request, desk.state, Claim(version=1), MAX, at(30))
    assert desk.refused(LENA, Approve, after=60).details["status"] == "expired"


# Claims, questions, recipients.


def test_a_claim_is_given_back():
    desk = Desk()

    assert desk.act(LENA, Claim).status == "claimed"
    assert desk.state.holder == "lena"
    assert desk.act(LENA, Unclaim).status == "open"
    assert desk.state.holder == ""


def test_a_question_waits_for_its_answer():
    desk = Desk()
    desk.act(LENA, Claim)

    assert desk.act(LENA, Ask, question="was it broken?").status == "info_requested"
    assert desk.state.questions[0].to == "sam"
    assert machine.row(desk.request, desk.state).asked_by == ["lena"]
    assert desk.act(SAM, AnswerQuestion, after=9, text="yes").status == "claimed"

    (question,) = desk.state.questions
    assert (question.answer, question.answered_by, question.answered_at) == ("yes", "sam", at(9))
    assert machine.row(desk.request, desk.state).asked_by == []


def test_a_question_about_what_nobody_holds_goes_back_to_open():
    desk = Desk()
    desk.act(LENA, Ask, question="was it broken?")

    assert desk.act(SAM, AnswerQuestion, text="yes").status == "open"


def test_one_may_claim_and_decide_while_a_question_waits():
    desk = Desk()
    desk.act(LENA, Ask, question="was it broken?")

    assert desk.act(OMAR, Claim).status == "info_requested"
    assert desk.state.holder == "omar"
    assert desk.refused(LENA, Approve).kind == "conflict"
    assert desk.act(OMAR, Approve).status == "approved"


def test_each_answers_the_latest_question_that_was_put_to_them():
    desk = Desk()
    desk.act(LENA, Ask, question="1", to="sam")
    desk.act(LENA, Ask, question="2", to="sam")
    desk.act(LENA, Ask, question="3", to="group:support")
    support = person("pia", groups=["support"])

    assert desk.act(SAM, AnswerQuestion, text="to 2").status == "info_requested"
    assert desk.act(support, AnswerQuestion, text="to 3").status == "info_requested"
    assert desk.act(GRACE, AnswerQuestion, text="to 1").status == "open"

    assert [question.answer for question in desk.state.questions] == ["to 1", "to 2", "to 3"]
    assert desk.refused(support, AnswerQuestion, text="again").kind == "conflict"
    assert desk.refused(OMAR, AnswerQuestion, text="me too").details == {"rule": "not_asked"}


def test_an_answered_question_opens_no_door_to_the_next_one():
    desk = Desk()
    desk.act(LENA, Ask, question="1", to="eve")
    desk.act(EVE, AnswerQuestion, text="to 1")
    desk.act(LENA, Ask, question="2", to="omar")

    assert desk.refused(EVE, AnswerQuestion, text="to 2").details == {"rule": "not_asked"}


def test_others_decide_after_a_reassignment():
    desk = Desk()
    desk.act(LENA, Claim)

    desk.act(LENA, Reassign, to=["omar", "group:support", "omar"], comment="yours")

    assert desk.state.to == ["omar", "group:support"]
    assert (desk.state.status, desk.state.holder) == ("open", "")
    assert desk.refused(LENA, Approve).details == {"rule": "not_addressed"}
    assert desk.act(OMAR, Approve).status == "approved"


def test_a_reassignment_to_a_group_or_to_one_eligible_person_is_enough():
    desk = Desk()

    desk.act(LENA, Reassign, to=["sam", "group:finance"])
    desk.act(LENA, Reassign, to=["sam", "omar"])

    assert desk.state.to == ["sam", "omar"]


# Decisions.


def test_an_approval_takes_effect_when_it_can_no_longer_be_undone():
    desk = Desk()

    answer = desk.act(LENA, Approve, after=5, comment="fine")

    assert (answer.status, answer.final, answer.effective_at) == ("approved", False, at(15))
    assert (answer.votes, answer.need, answer.version) == (1, 1, 2)
    assert machine.next_deadline(desk.request, desk.state) == at(15)
    with pytest.raises(ValueError, match="not final"):
        _ = desk.outcome
    assert not desk.wait(14.999).final
    assert desk.wait(15).final
    assert desk.outcome == Approved(
        id="A-104",
        at=at(5),
        value=msgspec.json.decode(desk.request.proposal),
        by=["lena"],
        comment="fine",
        digest=sha256(bytes(desk.request.proposal)).hexdigest(),
    )


def test_without_an_undo_window_a_decision_is_final_at_once():
    desk = Desk(undo=0)

    assert desk.act(LENA, Approve, after=5).final
    assert desk.outcome.at == at(5)
    assert machine.next_deadline(desk.request, desk.state) is None


def test_approved_with_changes_says_what_was_changed():
    desk = Desk()

    desk.act(LENA, Approve, changes={"amount": "550"}, comment="partly worn")
    desk.wait(60)

    proposed = msgspec.json.decode(desk.request.proposal)
    value = proposed | {"amount": "550"}
    assert desk.outcome.value == value
    assert desk.outcome.edited == ["amount"]
    assert desk.outcome.digest == sha256(bytes(codec.encode(value))).hexdigest()
    assert desk.state.changes[1].detail == "amount 600 → 550: partly worn"


def test_a_change_to_what_it_was_is_no_change():
    desk = Desk()

    desk.act(LENA, Approve, changes={"amount": 600})

    assert desk.state.edited == []
    assert desk.state.digest == sha256(bytes(desk.request.proposal)).hexdigest()


def test_a_quorum_counts_different_people_who_approve_the_identical_value():
    desk = Desk(need=3)

    assert desk.act(LENA, Approve, comment="ok").status == "open"
    assert desk.act(OMAR, Approve).votes == 2
    assert machine.row(desk.request, desk.state).voted == ["lena", "omar"]
    done = desk.act(NOOR, Approve, after=9, comment="me too")

    assert (done.status, done.votes, done.need) == ("approved", 3, 3)
    assert desk.state.decided_by == ["lena", "omar", "noor"]
    assert desk.state.decided_at == at(9)
    assert desk.state.reason == "ok\nme too"
    assert desk.happened() == ["opened", "voted", "voted", "approved"]


def test_an_edit_clears_the_votes_for_another_value():
    desk = Desk(need=2)
    desk.act(LENA, Approve)

    assert desk.act(OMAR, Approve, changes={"amount": "550"}).votes == 1
    assert [vote.by for vote in desk.state.votes] == ["omar"]
    assert desk.refused(OMAR, Approve).details == {"rule": "already_voted"}
    assert desk.act(LENA, Approve).status == "approved"

    assert desk.state.decided_by == ["omar", "lena"]
    assert desk.state.value["amount"] == "550"


def test_one_may_change_ones_mind_about_the_value():
    desk = Desk(need=2)
    desk.act(LENA, Approve)

    assert desk.act(LENA, Approve, changes={"amount": "550"}).votes == 1
    assert desk.act(OMAR, Approve).status == "approved"


def test_the_same_value_typed_differently_is_the_same_vote():
    desk = Desk(need=2)
    desk.act(LENA, Approve, changes={"amount": "550"})

    assert desk.refused(LENA, Approve, changes={"amount": 550}).details["rule"] == "already_voted"
    assert desk.act(OMAR, Approve, changes={"amount": 550}).status == "approved"


def test_a_vote_gives_the_claim_back_so_that_others_can_vote():
    desk = Desk(need=2)
    desk.act(LENA, Claim)

    assert desk.act(LENA, Approve).status == "open"
    assert desk.act(OMAR, Approve).status == "approved"


def test_one_rejection_decides():
    desk = Desk(need=3)
    desk.act(LENA, Approve)

    answer = desk.act(OMAR, Reject, after=5, reason="not his order")

    assert (answer.status, answer.effective_at, answer.final) == ("rejected", at(15), False)
    desk.wait(15)
    assert desk.outcome == Rejected(id="A-104", at=at(5), reason="not his order", by="omar")


def test_an_undo_takes_all_of_it_back():
    desk = Desk(need=2)
    desk.act(LENA, Approve, changes={"amount": "550"})
    desk.act(OMAR, Approve)

    answer = desk.act(LENA, Undo, after=2)

    assert (answer.status, answer.votes, answer.effective_at) == ("open", 0, None)
    fresh = Desk(need=2).state
    for name in ("value", "digest", "edited", "votes", "decided_at", "decided_by", "reason"):
        assert getattr(desk.state, name) == getattr(fresh, name)
    assert desk.state.version == 4
    assert desk.act(LENA, Approve, after=3).status == "open"


def test_an_undo_leaves_the_claim():
    desk = Desk()
    desk.act(LENA, Claim)
    desk.act(LENA, Approve)

    assert desk.act(GRACE, Undo).status == "claimed"
    assert desk.state.holder == "lena"


def test_a_cancelled_question_is_void_at_once():
    desk = Desk()

    assert desk.act(SAM, Cancel, after=5, reason="the customer withdrew").final
    assert desk.outcome == Cancelled(id="A-104", at=at(5), reason="the customer withdrew", by="sam")
    late = desk.refused(LENA, Approve, version=1)
    assert late.reason == "Already cancelled by sam at 2026-11-23T10:00:05Z; nothing changed."
    assert desk.state.decided_by == []


def test_an_instance_that_is_terminated_cancels_whatever_it_had_not_told():
    desk = Desk()
    desk.act(LENA, Approve)
    ended = machine.terminate(desk.request, desk.state, "the case was closed", at(2))
    settled = desk.wait(60)

    assert (ended.status, ended.final, ended.reason) == ("cancelled", True, "the case was closed")
    assert ended.changes[-1].by == ""
    # Final, but its recheck still ran: whoever asked is told of no decision.
    assert machine.terminate(desk.request, settled, "too late", at(61)).status == "cancelled"


def test_changed_facts_supersede_an_approval():
    desk = Desk()
    desk.act(LENA, Approve)
    desk.wait(60)

    state = machine.supersede(desk.request, desk.state, {"total": 1}, {"total": 2}, at(61))

    assert (state.status, state.final, state.version) == ("superseded", True, 3)
    assert state.changes[-1].detail == "total 1 → 2"
    desk.state = state
    assert desk.refused(OMAR, Approve).reason.startswith(
        "Already superseded at 2026-11-23T10:01:01Z"
    )
    with pytest.raises(ValueError, match="superseded"):
        _ = desk.outcome


# Time.


def test_expired_is_not_rejected():
    desk = Desk(expires=DAY)
    desk.wait(DAY)

    assert desk.outcome == Expired(id="A-104", at=at(DAY))
    assert desk.state.decided_by == []
    late = desk.refused(LENA, Approve, after=DAY + 5, version=1)
    assert late.reason == "Already expired at 2026-11-24T10:00:00Z; nothing changed."
    assert late.details["by"] == []


def test_it_can_be_decided_until_the_moment_it_expires():
    desk = Desk(expires=DAY)

    assert desk.refused(LENA, Approve, after=DAY).kind == "conflict"
    assert desk.act(LENA, Approve, after=DAY - 0.001).status == "approved"


TEN_DAYS = {
    "remind": [4 * DAY, DAY],
    "escalate": [
        Escalation(after=5 * DAY, to=["role:admin"]),
        Escalation(after=2 * DAY, to=["role:lead", "group:finance"]),
    ],
    "due": 3 * DAY,
    "expires": 7 * DAY,
}

WHAT_HAPPENS = [
    ("opened", 0.0),
    ("reminded", 1.0),
    ("escalated", 2.0),
    ("reminded", 4.0),
    ("escalated", 5.0),
    ("expired", 7.0),
]


@pytest.mark.parametrize("steps", [1, 10, 240])
def test_over_ten_days_it_reminds_escalates_and_expires_in_order_once_each(steps: int):
    desk = Desk(**TEN_DAYS)

    for step in range(1, steps + 1):
        desk.wait(10 * DAY * step / steps)

    happened = [
        (change.what, (change.at - T0) / timedelta(days=1)) for change in desk.state.changes
    ]
    assert happened == WHAT_HAPPENS
    assert desk.state.to == ["group:finance", "role:lead", "role:admin"]
    assert (desk.state.reminded, desk.state.escalated) == (2, 2)
    assert desk.state.version == 2


def test_each_deadline_is_told_beforehand():
    desk = Desk(**TEN_DAYS)
    told: list[float] = []

    while (deadline := machine.next_deadline(desk.request, desk.state)) is not None:
        told.append((deadline - T0) / timedelta(days=1))
        desk.state = machine.tick(desk.request, desk.state, deadline)

    assert told == [1, 2, 4, 5, 7]


def test_an_escalation_widens_who_may_decide_and_makes_no_version_stale():
    desk = Desk(**TEN_DAYS)

    assert desk.act(MAX, Approve, after=2 * DAY, version=1).status == "approved"


def test_at_the_same_moment_it_reminds_then_escalates_then_expires():
    desk = Desk(remind=[60], escalate=[Escalation(after=60, to=["role:lead"])], expires=60)

    desk.wait(60)

    assert desk.happened() == ["opened", "reminded", "escalated", "expired"]


def test_what_is_decided_reminds_nobody_and_does_not_expire():
    desk = Desk(remind=[8], escalate=[Escalation(after=8, to=["role:lead"])], expires=9)
    desk.act(LENA, Approve, after=5)

    desk.wait(DAY)

    assert desk.happened() == ["opened", "approved", "took_effect"]
    assert desk.state.changes[-1].at == at(15)


def test_what_fell_due_while_a_decision_stood_happens_after_its_undoing():
    desk = Desk(remind=[8], expires=9)
    desk.act(LENA, Approve, after=5)

    assert desk.act(LENA, Undo, after=12).status == "open"
    assert machine.next_deadline(desk.request, desk.state) == at(8)
    desk.wait(12)

    assert desk.happened() == ["opened", "approved", "undone", "reminded", "expired"]
    assert [change.at for change in desk.state.changes[3:]] == [at(12), at(12)]
    assert desk.outcome == Expired(id="A-104", at=at(9))


def test_time_does_not_run_backwards():
    desk = Desk(remind=[60])
    state = desk.wait(100)

    assert machine.tick(desk.request, state, at(0)) is state


# The row.


def test_the_row_says_what_the_inbox_needs():
    desk = Desk(
        due=60.0,
        expires=DAY,
        risk="high",
        policy="over $500",
        amount=600.0,
        currency="USD",
        case="case-7",
        on_behalf_of="ada",
        need=2,
        not_by=["eli", "sam"],
    )
    desk.act(LENA, Approve)
    desk.act(OMAR, Claim)
    desk.act(OMAR, Snooze, until=at(DAY))

    row = machine.row(desk.request, desk.state)

    assert row.not_by == ["eli", "sam"]
    assert (row.voted, row.holder, row.status) == (["lena"], "omar", "claimed")
    assert (row.due_at, row.expires_at, row.version) == (at(60), at(DAY), 3)
    assert (row.risk, row.policy, row.amount, row.currency) == ("high", "over $500", 600.0, "USD")
    assert (row.case, row.on_behalf_of, row.requester) == ("case-7", "ada", "sam")
    assert row.snoozed == {"omar": at(DAY)}
    assert (row.need, row.kind, row.pattern) == (2, "Refund", "approval")


def test_the_requester_is_among_those_who_must_not_decide():
    assert machine.row(asking(), Desk().state).not_by == ["eli", "sam"]
    desk = Desk(requester="", not_by=[])
    assert machine.row(desk.request, desk.state).not_by == []


@dataclass
class Nothing:
    note: str | None = None


def test_a_proposal_with_nulls_keeps_its_digest():
    desk = Desk(asking(Nothing(), editable={"note": Bounds()}))

    assert desk.act(LENA, Approve, changes={"note": None}).status == "approved"
    assert desk.state.edited == []
    assert desk.state.digest == sha256(b'{"note":null}').hexdigest()
