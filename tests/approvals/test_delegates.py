"""Whoever stands in for somebody who is away: what they may decide in that person's place, how it
counts, and what nobody may by this door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from adjourn.approvals import machine
from adjourn.approvals.audit import fold, to_csv
from adjourn.errors import Refusal
from adjourn.model.actor import Absent, Actor
from adjourn.model.approval import (
    AddComment,
    AnswerQuestion,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reassign,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)
from adjourn.model.inbox import is_shown
from tests.approvals.desk import LENA, OMAR, Desk, at, person
from tests.approvals.test_audit import accepted, opened, received, rows
from tests.properties.profiles import examples

AWAY_LENA = Absent(id="lena", groups=["finance"], roles=["approver"])
AWAY_OMAR = Absent(id="omar", groups=["finance"], roles=["approver"])
AWAY_SAM = Absent(id="sam", groups=["finance"], roles=["approver"])
AWAY_ELI = Absent(id="eli", groups=["finance"], roles=["approver"])
AWAY_LEAD = replace(AWAY_LENA, roles=["lead"])
AWAY_HUGO = Absent(id="hugo", groups=["legal"], roles=["approver"])


def deputy(*absent: Absent, id: str = "tess", groups: Sequence[str] = (), **more: Any) -> Actor:
    """An approver to whom nothing is addressed by themself."""
    return replace(person(id, "approver", groups=groups), stands_in_for=[*absent], **more)


# Who, whom it is addressed to, who has voted before (and in whose place); and the rule that keeps
# them from approving, or "" with the one in whose place it counts.
TABLE: dict[str, tuple[Actor, dict[str, Any], list[Actor], str]] = {
    "in the place of a member of the group": (deputy(AWAY_LENA), {}, [], "for lena"),
    "in the place of whom it names": (deputy(AWAY_LENA), {"to": ["lena"]}, [], "for lena"),
    "who is addressed acts for themself": (
        deputy(AWAY_LENA, groups=["finance"]), {}, [], "for nobody",
    ),
    "nobody is away": (deputy(), {}, [], "not_addressed"),
    "somebody else is away": (deputy(AWAY_HUGO), {}, [], "not_addressed"),
    "the second of two who are away": (deputy(AWAY_HUGO, AWAY_LENA), {}, [], "for lena"),
    "roles are not handed on": (deputy(AWAY_LENA), {"to": ["role:lead"]}, [], "not_addressed"),
    "without a role that decides": (
        replace(deputy(AWAY_LENA), roles=["viewer"]), {}, [], "role",
    ),
    "without any role": (replace(deputy(AWAY_LENA), roles=[]), {}, [], "role"),
    "an agent in a person's place": (deputy(AWAY_LENA, agent=True), {}, [], "agent"),
    "a person in a key's place": (
        deputy(replace(AWAY_LENA, id="key:ci")), {}, [], "not_addressed",
    ),
    "a person in nobody's place": (
        deputy(Absent(id="", groups=["finance"], roles=["approver"])), {}, [], "not_addressed",
    ),
    "a person named like a group": (
        deputy(Absent(id="group:finance", roles=["approver"])), {}, [], "not_addressed",
    ),
    "in their own place": (
        deputy(Absent(id="tess", groups=["finance"], roles=["approver"])), {}, [], "not_addressed",
    ),
    "a delegate's delegate": (
        deputy(Absent(id="tara", roles=["approver"])), {"to": ["lena"]}, [], "not_addressed",
    ),
    "their own request": (deputy(AWAY_LENA, id="sam"), {}, [], "own_request"),
    "excluded themself": (deputy(AWAY_LENA, id="eli"), {}, [], "excluded"),
    "their group is excluded": (
        deputy(AWAY_LENA, groups=["interns"]), {"not_by": ["group:interns"]}, [], "excluded",
    ),
    "the absent one's request": (deputy(AWAY_SAM), {}, [], "absent_may_not"),
    "the absent one is excluded": (deputy(AWAY_ELI), {}, [], "absent_may_not"),
    "the absent one's group is excluded": (
        deputy(AWAY_LENA), {"not_by": ["group:finance"]}, [], "absent_may_not",
    ),
    "the absent one's role is excluded": (
        deputy(AWAY_LEAD), {"not_by": ["role:lead"]}, [], "absent_may_not",
    ),
    "the absent one decides nothing": (
        deputy(replace(AWAY_LENA, roles=["viewer"])), {}, [], "not_addressed",
    ),
    "the absent one has no role": (
        deputy(replace(AWAY_LENA, roles=[])), {"to": ["lena"]}, [], "not_addressed",
    ),
    "one may not, another one may": (deputy(AWAY_SAM, AWAY_OMAR), {}, [], "for omar"),
    "the absent one has voted": (deputy(AWAY_LENA), {"need": 2}, [LENA], "absent_has_voted"),
    "one has voted, another one has not": (
        deputy(AWAY_LENA, AWAY_OMAR), {"need": 2}, [LENA], "for omar",
    ),
    "another delegate has voted in their place": (
        deputy(AWAY_LENA), {"need": 2}, [deputy(AWAY_LENA, id="uma")], "absent_has_voted",
    ),
    "a second time, for another one": (
        deputy(AWAY_LENA, AWAY_OMAR), {"need": 2}, [deputy(AWAY_LENA)], "already_voted",
    ),
    "a second time, in their own right": (
        deputy(AWAY_LENA, groups=["finance"]), {"need": 2}, [deputy(AWAY_LENA)], "already_voted",
    ),
    "a second time, in somebody's place": (
        deputy(AWAY_LENA), {"need": 2}, [deputy(groups=["finance"])], "already_voted",
    ),
    "back again, and voted for meanwhile": (
        LENA, {"need": 2}, [deputy(AWAY_LENA)], "voted_for_you",
    ),
    "voted for, and in the place of another one": (
        deputy(AWAY_OMAR, id="lena"), {"need": 2}, [deputy(AWAY_LENA)], "voted_for_you",
    ),
    "two people, one in the other's colleague's place": (
        deputy(AWAY_LENA), {"need": 2}, [OMAR], "for lena",
    ),
}  # fmt: skip


def desk_of(terms: dict[str, Any], before: list[Actor]) -> Desk:
    desk = Desk(**terms)
    for voter in before:
        desk.act(voter, Approve)
    return desk


@pytest.mark.parametrize("name", TABLE)
def test_who_approves_in_whose_place(name: str) -> None:
    actor, terms, before, told = TABLE[name]
    desk = desk_of(terms, before)

    if not told.startswith("for "):
        assert desk.refused(actor, Approve).details == {"rule": told}
        assert desk.refused(actor, Claim).details == {"rule": told}
        assert "approve" not in machine.allowed(desk.request, desk.state, actor, at(2))
        return
    through = told.removeprefix("for ").replace("nobody", "")
    assert "approve" in machine.allowed(desk.request, desk.state, actor, at(2))
    desk.act(actor, Approve)
    vote, change = desk.state.votes[-1], desk.state.changes[-1]
    assert (vote.by, vote.through) == (change.by, change.through) == (actor.id, through)


@pytest.mark.parametrize(
    "action",
    [
        (Claim, {}),
        (Ask, {"question": "why?"}),
        (Reject, {"reason": "no"}),
        (Reassign, {"to": ["group:legal"]}),
    ],
    ids=lambda action: action[0].__name__,
)
def test_what_a_delegate_does_says_in_whose_place(action: Any) -> None:
    desk = Desk()
    kind, fields = action

    desk.act(deputy(AWAY_LENA), kind, **fields)

    change = desk.state.changes[-1]
    assert (change.by, change.through) == ("tess", "lena")


def test_what_is_ones_own_business_is_done_in_nobodys_place() -> None:
    desk = Desk()
    tess = deputy(AWAY_LENA)

    desk.act(tess, AddComment, text="hm")
    desk.act(tess, Snooze, until=at(60))

    assert [change.through for change in desk.state.changes] == ["", "", ""]


def test_whoever_is_away_holds_up_nobody() -> None:
    """Their delegate gives it back in their place; a stranger to them does not."""
    desk = Desk()
    desk.act(LENA, Claim)
    tess = deputy(AWAY_LENA)
    assert desk.refused(tess, Approve).kind == "conflict"
    assert desk.refused(deputy(AWAY_OMAR), Unclaim).details == {"rule": "not_holder"}

    desk.act(tess, Unclaim)
    desk.act(tess, Approve)

    assert [(change.what, change.through) for change in desk.state.changes[2:]] == [
        ("unclaimed", "lena"),
        ("approved", "lena"),
    ]


def test_a_delegate_answers_and_cancels_and_undoes_nothing_in_anothers_place() -> None:
    desk = Desk(requester="lena", to=["group:finance"])
    desk.act(OMAR, Ask, question="why?")
    tess = deputy(AWAY_LENA)

    assert desk.refused(tess, AnswerQuestion, text="so").details == {"rule": "not_asked"}
    assert desk.refused(tess, Cancel).details == {"rule": "not_requester"}
    desk = Desk()
    desk.act(LENA, Approve)
    assert desk.refused(tess, Undo).details == {"rule": "not_decider"}


def test_a_rejection_after_the_absent_ones_vote_is_theirs_to_make() -> None:
    """As the absent one themself might, who learned better."""
    desk = desk_of({"need": 2}, [LENA])

    desk.act(deputy(AWAY_LENA), Reject, reason="no")

    assert desk.state.status == "rejected" and desk.state.changes[-1].through == "lena"


def test_for_another_value_everybody_counts_anew() -> None:
    desk = desk_of({"need": 2}, [LENA])

    desk.act(deputy(AWAY_LENA), Approve, changes={"amount": "550"})

    assert [(vote.by, vote.through) for vote in desk.state.votes] == [("tess", "lena")]
    desk.act(OMAR, Approve)
    assert desk.state.decided_by == ["tess", "omar"]


def test_the_inbox_knows_whose_word_counts_already() -> None:
    desk = desk_of({"need": 2}, [deputy(AWAY_LENA)])

    row = machine.row(desk.request, desk.state)

    assert (row.voted, row.represented) == (["tess"], ["lena"])


def test_whoever_stands_in_sees_what_they_may_decide() -> None:
    """Queues of their own do not narrow that; what is addressed to nobody they know stays away."""
    tess = deputy(AWAY_LENA, queues=["group:legal"])

    assert machine.may_view(Desk().request, Desk().state, tess)
    other = Desk(to=["group:sales"])
    assert not machine.may_view(other.request, other.state, tess)
    assert other.refused(tess, AddComment, text="hm").details == {"rule": "not_addressed"}


def test_the_audit_says_in_whose_place() -> None:
    action = Approve(version=1, comment="ok")
    audit = fold(rows(opened(), received(action, deputy(AWAY_LENA), 5), accepted(5)))

    entry = next(each for each in audit.entries if each.what == "approved")
    assert (entry.by, entry.through) == ("tess", "lena")
    assert '"tess","web","approved","ok","' in to_csv(audit) and ',"lena"\r\n' in to_csv(audit)


# Whatever happens.

IDS = ["lena", "omar", "sam", "eli", "tess"]
GROUPS = ["finance", "legal"]
some_groups = st.lists(st.sampled_from(GROUPS), max_size=2, unique=True)
some_roles = st.sampled_from([["approver"], ["approver"], ["lead"], ["viewer"], []])
absents = st.builds(Absent, id=st.sampled_from(IDS), groups=some_groups, roles=some_roles)
actors = st.builds(
    Actor,
    id=st.sampled_from(IDS),
    groups=some_groups,
    roles=some_roles,
    agent=st.sampled_from([False, False, False, True]),
    stands_in_for=st.lists(absents, max_size=2),
    queues=st.sampled_from([None, None, [], ["group:legal"]]),
)
recipients = st.sampled_from(["lena", "omar", "group:finance", "group:legal", "role:lead"])
terms = st.fixed_dictionaries(
    {
        "to": st.lists(recipients, min_size=1, max_size=2),
        "not_by": st.lists(recipients, max_size=1),
        "requester": st.sampled_from(["sam", "lena"]),
        "need": st.integers(1, 3),
    }
)
doings = st.lists(
    st.tuples(
        actors,
        st.sampled_from(
            [
                (Approve, {}),
                (Approve, {}),
                (Approve, {"changes": {"amount": "550"}}),
                (Claim, {}),
                (Unclaim, {}),
                (Reject, {"reason": "no"}),
                (Reassign, {"to": ["group:legal"]}),
            ]
        ),
    ),
    max_size=8,
)


@pytest.mark.slow
@examples(300)
@given(terms, doings)
@example(
    {"to": ["group:finance"], "not_by": [], "requester": "sam", "need": 2},
    [(LENA, (Approve, {})), (deputy(AWAY_LENA), (Approve, {}))],
)
def test_no_deputy_makes_one_of_two_or_decides_what_they_must_not(
    given_terms: dict[str, Any], steps: list[tuple[Actor, tuple[Any, dict[str, Any]]]]
) -> None:
    """Nobody decides their own request or what they are excluded from, in nobody's place; the one
    in whose place somebody decides might have; every person and every word counts once."""
    desk = Desk(**given_terms)
    for actor, (kind, fields) in steps:
        row, to = machine.row(desk.request, desk.state), desk.state.to
        assert machine.may_view(desk.request, desk.state, actor) == is_shown(row, actor)
        try:
            desk.act(actor, kind, **fields)
        except Refusal:
            continue
        change = desk.state.changes[-1]
        assert is_shown(row, actor) and change.by == actor.id
        if change.what in ("claimed", "voted", "approved", "rejected"):
            assert_may_decide(desk, actor, change.through, to)
    words = [word for vote in desk.state.votes for word in (vote.by, vote.through) if word]
    assert len(words) == len(set(words))
    if desk.state.status == "approved":
        assert len(set(desk.state.decided_by)) == desk.request.need


def assert_may_decide(desk: Desk, actor: Actor, through: str, to: Sequence[str]) -> None:
    """Told from the question alone, and not by the rules themselves."""
    request = desk.request
    mine = {actor.id, *(f"group:{name}" for name in actor.groups)}
    mine |= {f"role:{name}" for name in actor.roles}
    assert not actor.agent and {"approver", "lead"} & set(actor.roles)
    assert actor.id != request.requester and not mine & set(request.not_by)
    if not through:
        assert mine & set(to)
        return
    assert not mine & set(to) and through != actor.id
    assert through != request.requester
    assert any(
        each.id == through
        and {"approver", "lead"} & set(each.roles)
        and {each.id, *(f"group:{name}" for name in each.groups)} & set(to)
        and each.id not in request.not_by
        and not {f"group:{name}" for name in each.groups} & set(request.not_by)
        and not {f"role:{name}" for name in each.roles} & set(request.not_by)
        for each in actor.stands_in_for
    )
