"""The audit: a fold of the approval's own history, in words, with the row that proves each."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec
import pytest

from adjourn.approvals import machine
from adjourn.approvals.audit import COLUMNS, Audit, AuditEntry, fold, to_csv, to_json
from adjourn.errors import InvalidPayloadError
from adjourn.model import codec, events
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    ACT,
    Action,
    AddComment,
    ApprovalRequest,
    Approve,
    Approved,
    AutoDecision,
    Claim,
    Escalation,
    Recheck,
    Reject,
    Superseded,
    Undo,
)
from adjourn.model.events import Event
from adjourn.model.failure import FailureDetails
from adjourn.model.state import HistoryEntry
from tests.approvals.desk import DAY, LENA, MAX, OMAR, T0, Desk, asking, at, person


def rows(*history: Event) -> list[HistoryEntry]:
    """They, numbered from one, each with a hash that tells it from the others."""
    return [
        HistoryEntry(execution=1, number=number, event=event, hash=f"{number:064x}")
        for number, event in enumerate(history, start=1)
    ]


def opened(request: ApprovalRequest | None = None) -> events.InstanceStarted:
    return events.InstanceStarted(
        at=T0, name="adjourn.approval", input=codec.encode(request or asking())
    )


def received(action: Action, by: Actor | None, after: float, id: str = "") -> events.UpdateReceived:
    update_id = id or f"{after}"
    data = codec.encode(action)
    return events.UpdateReceived(at=at(after), name=ACT, update_id=update_id, data=data, by=by)


def accepted(after: float, id: str = "") -> events.UpdateAccepted:
    return events.UpdateAccepted(at=at(after), update_id=id or f"{after}")


def refused(after: float, reason: str) -> events.UpdateRefused:
    return events.UpdateRefused(
        at=at(after), update_id=f"{after}", reason=reason, refusal="conflict"
    )


def fired(after: float) -> events.TimerFired:
    return events.TimerFired(at=at(after), sequence=1)


def told(audit: Audit) -> list[tuple[int, str, str, str]]:
    return [(each.number, each.what, each.by, each.detail) for each in audit.entries]


# The fold.


def test_the_state_is_what_the_machine_made_of_the_same_actions():
    desk = Desk()
    desk.act(LENA, Claim, after=5)
    desk.act(LENA, Approve, after=9, comment="fine")
    desk.wait(19.5)

    audit = fold(
        rows(
            opened(),
            received(Claim(version=1), LENA, 5),
            accepted(5),
            received(Approve(version=2, comment="fine"), LENA, 9),
            accepted(9),
            fired(19.5),
            events.InstanceCompleted(at=at(19.5), result=codec.encode(desk.outcome)),
        ),
        id="A-104",
    )

    assert audit.state == desk.state
    assert audit.request == desk.request
    assert told(audit) == [
        (1, "opened", "sam", ""),
        (2, "claimed", "lena", ""),
        (4, "approved", "lena", "fine"),
        (6, "took_effect", "", ""),
        (7, "concluded", "", "approved"),
    ]


def test_an_entry_has_its_moment_its_channel_and_the_hash_of_its_row():
    by_teams = person("lena", "approver", channel="teams")

    audit = fold(rows(opened(), received(Claim(version=1), by_teams, 5), accepted(6, "5")))

    assert audit.entries[-1] == AuditEntry(
        number=2,
        at=at(5),
        by="lena",
        channel="teams",
        what="claimed",
        detail="",
        hash=f"{2:064x}",
    )


def test_the_beginning_of_a_history_has_an_audit_as_well():
    history = rows(opened(), received(Claim(version=1), LENA, 5))

    assert fold(history[:1]).state.status == "open"
    assert fold(history).state.status == "open", "received, and not yet answered"


def test_what_a_policy_decided_says_so():
    request = asking(auto=AutoDecision(policy="small_refund", version="3", reason="under $50"))

    audit = fold(rows(opened(request)))

    assert audit.state.policy == "small_refund 3"
    assert told(audit) == [(1, "opened", "sam", ""), (1, "approved", "", "under $50")]


def test_time_passes_with_every_row():
    request = asking(
        remind=[DAY], escalate=[Escalation(after=2 * DAY, to=["role:lead"])], expires=3 * DAY
    )

    audit = fold(rows(opened(request), fired(DAY + 0.2), fired(5 * DAY)))

    assert audit.state.status == "expired"
    assert [(each.number, each.what, each.at) for each in audit.entries[1:]] == [
        (2, "reminded", at(DAY)),
        (3, "escalated", at(2 * DAY)),
        (3, "expired", at(3 * DAY)),
    ]


def test_who_may_act_only_since_an_escalation_is_understood():
    request = asking(escalate=[Escalation(after=60, to=["role:lead"])])

    audit = fold(rows(opened(request), received(Claim(version=1), MAX, 61), accepted(61)))

    assert told(audit)[1:] == [
        (2, "escalated", "", "to role:lead"),
        (2, "claimed", "max", ""),
    ]


def test_what_was_refused_changes_nothing_and_is_told():
    audit = fold(
        rows(
            opened(),
            received(Claim(version=1), LENA, 5),
            received(Reject(version=1, reason="no"), OMAR, 6),
            accepted(5),
            refused(6, "Claimed by lena; nothing changed."),
        )
    )

    assert audit.state.holder == "lena"
    assert told(audit)[1:] == [
        (2, "claimed", "lena", ""),
        (3, "refused", "omar", "reject: Claimed by lena; nothing changed."),
    ]


def test_an_update_that_nobody_can_read_was_refused_too():
    nonsense = events.UpdateReceived(
        at=at(5), name="ACT", update_id="5", data=codec.encode([1]), by=LENA
    )

    audit = fold(rows(opened(), nonsense, refused(5, "cannot be read")))

    assert told(audit)[1:] == [(2, "refused", "lena", "?: cannot be read")]


def test_other_updates_are_not_its_business():
    other = events.UpdateReceived(at=at(5), name="other", update_id="5")

    assert len(fold(rows(opened(), other, accepted(5))).entries) == 1


def test_what_counted_then_and_would_not_now_is_shown():
    """The rules may have changed between two releases; the history has not."""
    history = rows(
        opened(), received(Approve(version=1), person("sam", "approver"), 5), accepted(5)
    )

    audit = fold(history)

    assert audit.state.status == "open"
    assert told(audit)[1:] == [
        (2, "unexplained", "sam", "It was accepted, but: Nobody decides on their own request.")
    ]


def test_a_message_that_waited_counts_when_it_was_handed_over():
    """It came while the facts were fetched, or while the instance was suspended."""
    request = asking(expires=DAY, undo=5.0)

    audit = fold(
        rows(
            opened(request),
            events.InstanceSuspended(at=at(1), reason="maintenance"),
            received(Approve(version=1), LENA, 5),
            events.InstanceResumed(at=at(60)),
            accepted(60, "5"),
            fired(60),
        )
    )

    assert audit.state.decided_at == at(5)
    assert audit.state.final
    assert [each.what for each in audit.entries] == [
        "opened",
        "suspended",
        "approved",
        "resumed",
        "took_effect",
    ]


def test_an_action_counts_at_the_moment_it_came_and_not_when_its_answer_was_written():
    audit = fold(
        rows(
            opened(),
            received(Approve(version=1), LENA, 5),
            accepted(5),
            received(Undo(version=2), LENA, 14.999),
            accepted(15.2, "14.999"),
        )
    )

    assert [each.what for each in audit.entries] == ["opened", "approved", "undone"]
    assert audit.state.status == "open"


def test_a_terminated_instance_was_cancelled():
    audit = fold(rows(opened(), events.InstanceTerminated(at=at(9), reason="case closed")))

    assert (audit.state.status, audit.state.final) == ("cancelled", True)
    assert audit.state.reason == "case closed"
    assert told(audit)[1:] == [(2, "cancelled", "", "case closed")]


RECHECKED = asking(recheck=Recheck(activity="load_order", input=codec.encode({"id": "A-1042"})))


def test_changed_facts_are_told_with_what_changed():
    was, now = {"total": 600}, {"total": 0}
    audit = fold(
        rows(
            opened(RECHECKED),
            events.ActivityScheduled(at=T0, sequence=1, name="load_order"),
            events.ActivityCompleted(at=at(1), sequence=1, result=codec.encode(was)),
            received(Approve(version=1), LENA, 5),
            accepted(5),
            fired(15),
            events.ActivityScheduled(at=at(15), sequence=3, name="load_order"),
            events.ActivityCompleted(at=at(16), sequence=3, result=codec.encode(now)),
            events.InstanceCompleted(
                at=at(16), result=codec.encode(Superseded(id="A", at=at(16), was=was, now=now))
            ),
        )
    )

    assert (audit.state.status, audit.state.final) == ("superseded", True)
    assert told(audit)[1:] == [
        (3, "rechecked", "", "load_order"),
        (4, "approved", "lena", ""),
        (6, "took_effect", "", ""),
        (8, "rechecked", "", "load_order"),
        (9, "superseded", "", "total 600 → 0"),
        (9, "concluded", "", "superseded"),
    ]


def test_a_recheck_that_failed_is_told():
    failure = FailureDetails(type="TimeoutError", message="no answer")
    audit = fold(
        rows(
            opened(RECHECKED),
            events.ActivityScheduled(at=T0, sequence=1, name="load_order"),
            events.ActivityFailed(at=at(1), sequence=1, failure=failure, settled_by="grace"),
            events.InstanceFailed(at=at(1), failure=failure),
        )
    )

    assert told(audit)[1:] == [
        (3, "recheck_failed", "grace", "load_order: no answer"),
        (4, "failed", "", "TimeoutError: no answer"),
    ]


def test_only_the_first_execution_counts():
    history = rows(opened(), received(Claim(version=1), LENA, 5), accepted(5))
    ended = events.InstanceTerminated(at=at(9))
    later = HistoryEntry(execution=2, number=1, event=ended, hash="f" * 64)

    assert fold([*history, later]) == fold(history)


def test_what_is_no_history_of_an_approval_has_no_audit():
    with pytest.raises(ValueError, match="InstanceStarted"):
        fold([])
    with pytest.raises(ValueError, match="InstanceStarted"):
        fold(rows(fired(1)))
    with pytest.raises(InvalidPayloadError):
        fold(rows(events.InstanceStarted(at=T0, name="order", input=codec.encode({"id": 1}))))


# Export.


def commented(*texts: str) -> Audit:
    """An audit with these comments."""
    history: list[Event] = [opened()]
    for second, text in enumerate(texts, start=1):
        history += [
            received(AddComment(version=1, text=text), LENA, second),
            accepted(second),
        ]
    return fold(rows(*history), id="A-104")


def test_the_export_as_json_holds_all_of_it():
    audit = commented("hm", "=1+1")

    again = msgspec.json.decode(to_json(audit), type=Audit)
    assert (again.state, again.entries) == (audit.state, audit.entries)
    assert codec.canonical(bytes(again.request.proposal)) == audit.request.proposal
    plain = msgspec.json.decode(to_json(audit))
    assert [entry["detail"] for entry in plain["entries"]] == ["", "hm", "=1+1"]
    assert [entry["channel"] for entry in plain["entries"]] == ["", "web", "web"]


def table(text: str) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_export_as_csv_has_a_line_for_each_entry():
    text = to_csv(commented('she said "no",\r\nthen yes; ünïcode'))

    opening, comment = table(text)
    assert tuple(comment) == COLUMNS
    assert (opening["number"], opening["what"], opening["by"]) == ("1", "opened", "sam")
    assert comment["detail"] == 'she said "no",\r\nthen yes; ünïcode'
    assert comment["at"] == "2026-11-23T10:00:01Z"
    assert comment["hash"] == f"{2:064x}"
    assert text.startswith('"number","at","by","channel","what","detail","hash","through"\r\n"1",')


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\ttext",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(A1)",
    '=HYPERLINK("https://example.invalid","x")',
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", FORMULAS, ids=range(len(FORMULAS)))
def test_no_cell_is_a_formula(text: str):
    (_, comment) = table(to_csv(commented(text)))

    assert comment["detail"] == "'" + text


@pytest.mark.parametrize("text", ["a=b", "1-1", "'quoted", "5 + 5", "mail@example.invalid"])
def test_what_is_no_formula_stays_as_it_is(text: str):
    (_, comment) = table(to_csv(commented(text)))

    assert comment["detail"] == text


def test_a_person_named_like_a_formula_is_harmless_too():
    mallory = person("=evil()", "approver", channel="+web")
    audit = fold(rows(opened(), received(AddComment(version=1, text="x"), mallory, 1), accepted(1)))

    (_, comment) = table(to_csv(audit))

    assert (comment["by"], comment["channel"]) == ("'=evil()", "'+web")


def test_the_outcome_that_was_told_agrees_with_the_state_at_the_end():
    desk = Desk()
    desk.act(LENA, Approve, after=5, changes={"amount": "550"})
    desk.wait(60)
    result = codec.encode(desk.outcome)

    audit = fold(
        rows(
            opened(),
            received(Approve(version=1, changes={"amount": "550"}), LENA, 5),
            accepted(5),
            fired(15),
            events.InstanceCompleted(at=at(15), result=result),
        ),
        id="A-104",
    )

    stored = msgspec.json.decode(result, type=Approved[Any])
    assert machine.outcome(audit.request, audit.state) == stored
