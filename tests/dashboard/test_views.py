"""What templates show: rows, stories, panels, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import structs

from adjourn.approvals.audit import AuditEntry
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from adjourn.dashboard.search import Search
from adjourn.dashboard.views.audit import entry_views
from adjourn.dashboard.views.inbox import count_text, empty_of, view_links
from adjourn.dashboard.views.instances import instance_rows, waits
from adjourn.dashboard.views.panel import happened
from adjourn.dashboard.views.rows import needs_hold, row_view
from adjourn.dashboard.views.story import story, threads_of
from adjourn.dashboard.views.words import Names
from adjourn.model import events
from adjourn.model.actor import Absent, Actor
from adjourn.model.approval import APPROVAL
from adjourn.model.failure import FailureDetails
from adjourn.model.inbox import COUNT_LIMIT, InboxRow
from adjourn.model.state import HistoryEntry, InstanceState
from adjourn.model.status import Status

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
LENA = Actor(id="lena", groups=["support"], roles=["approver"])
NAMES = Names(LocalPeople(DEMO_PEOPLE), LENA)


def row(**facts: Any) -> InboxRow:
    return InboxRow(**{"id": "a:1", "title": "Refund", "opened_at": NOW, "version": 3, **facts})


def chips(**facts: Any) -> list[str]:
    return [each.text for each in row_view(row(**facts), Search(), NAMES, NOW).chips]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, []),
        ({"holder": "lena", "status": "claimed"}, ["You"]),
        ({"holder": "omar", "status": "claimed"}, ["Omar Haddad"]),
        ({"status": "info_requested", "asked_by": ["omar"]}, ["Question"]),
        ({"need": 2, "voted": ["omar"]}, ["1 of 2"]),
        ({"need": 3, "voted": ["omar"], "represented": ["grace"]}, ["1 of 3"]),
        ({"escalated": 2}, ["Escalated"]),
        ({"snoozed": {"lena": NOW + timedelta(hours=4)}}, ["Until 14:00 UTC"]),
        ({"snoozed": {"lena": NOW, "omar": NOW + timedelta(hours=4)}}, []),
        ({"problem": "suspended"}, ["Blocked"]),
        ({"status": "approved", "decided_by": ["lena", "omar"], "execution": "running"},
         ["Approved by you and Omar Haddad", "Executing"]),
        ({"status": "approved", "execution": "unknown"}, ["Approved", "In doubt"]),
        ({"status": "rejected", "decided_by": ["omar"]}, ["Rejected by Omar Haddad"]),
        ({"status": "expired"}, ["Expired"]),
    ],
)  # fmt: skip
def test_a_row_says_who_has_it_and_what_became_of_it(
    facts: dict[str, Any], told: list[str]
) -> None:
    assert chips(**facts) == told


def test_a_row_that_cannot_be_decided_with_others_has_no_box() -> None:
    def pick(**facts: Any) -> str:
        return row_view(row(**facts), Search(), NAMES, NOW).pick

    assert pick() == pick(to=["group:support"]) == pick(holder="lena") == "3@a:1"
    assert pick(status="approved") == pick(pattern="event") == pick(problem="x") == ""
    assert pick(holder="omar") == pick(to=["group:finance"]) == pick(voted=["lena"]) == ""
    assert pick(not_by=["lena"]) == pick(not_by=["group:support"]) == ""
    auditor = Names(LocalPeople(DEMO_PEOPLE), Actor(id="ivo", roles=["auditor"]))
    assert row_view(row(), Search(), auditor, NOW).pick == ""


def test_a_mark_changes_with_the_row_and_not_with_time() -> None:
    def mark(now: datetime = NOW, **facts: Any) -> str:
        return row_view(row(**facts), Search(), NAMES, now).mark

    assert mark() == mark(NOW + timedelta(days=1)) != mark(execution="done")


def test_what_is_held_is_what_is_risky_enough() -> None:
    assert needs_hold("high", "high") and needs_hold("medium", "medium")
    assert not needs_hold("medium", "high") and not needs_hold("low", "medium")


def test_counts_stop_and_only_what_is_overdue_is_marked() -> None:
    assert (count_text(0), count_text(12), count_text(COUNT_LIMIT)) == ("", "12", "999+")
    links = {link.word: link for link in view_links(Search(), {"overdue": 1, "all": COUNT_LIMIT})}
    assert links["overdue"].late and not links["all"].late and links["needs_me"].current
    assert empty_of(Search(text="x")).action == "Clear the conditions"


# Stories.

LIFE: list[tuple[str, Any]] = [
    ("Started buy", events.InstanceStarted(at=NOW, name="buy")),
    ("Calls pay", events.ActivityScheduled(at=NOW, sequence=1, name="pay")),
    (
        "pay failed; again at 10:00:00 UTC",
        events.ActivityRetryScheduled(
            at=NOW, sequence=1, attempt=2, failure=FailureDetails(type="E", message="m"),
            retry_at=NOW,
        ),
    ),
    (
        "pay runs again after a crash",
        events.ActivityRecovered(at=NOW, sequence=1, attempt=3),
    ),
    ("pay is in doubt", events.ActivityInDoubt(at=NOW, sequence=1, reason="?")),
    (
        "pay completed, settled by grace",
        events.ActivityCompleted(at=NOW, sequence=1, settled_by="grace"),
    ),
    (
        "pay failed",
        events.ActivityFailed(
            at=NOW, sequence=1, failure=FailureDetails(type="E", message="m")
        ),
    ),
    ("Nobody waits for pay any more", events.ActivityCancelled(at=NOW, sequence=1)),
    ("Sets a timer", events.TimerCreated(at=NOW, sequence=2, fire_at=NOW)),
    ("The timer fired", events.TimerFired(at=NOW, sequence=2)),
    ("Takes the timer back", events.TimerCancelled(at=NOW, sequence=3)),
    (
        "Asks for an approval",
        events.SubOrchestrationStarted(at=NOW, sequence=4, name=APPROVAL, instance_id="a:1:4"),
    ),
    ("The approval ended", events.SubOrchestrationCompleted(at=NOW, sequence=4)),
    (
        "Starts ship",
        events.SubOrchestrationStarted(at=NOW, sequence=5, name="ship", instance_id="a:1:5"),
    ),
    (
        "ship failed",
        events.SubOrchestrationFailed(
            at=NOW, sequence=5, failure=FailureDetails(type="E", message="m")
        ),
    ),
    ("Nobody waits for ship any more", events.SubOrchestrationCancelled(at=NOW, sequence=5)),
    (
        "Starts notify, on its own",
        events.OrchestrationStarted(at=NOW, sequence=6, name="notify", instance_id="n-1"),
    ),
    (
        "Sends event Go to n-1",
        events.EventSent(at=NOW, sequence=7, instance_id="n-1", name="Go"),
    ),
    ("Event Go arrived", events.ExternalEventReceived(at=NOW, name="Go")),
    ("Sets event Go aside", events.ExternalEventSetAside(at=NOW, name="Go", reason="no")),
    (
        "Update act arrived from lena",
        events.UpdateReceived(at=NOW, name="act", update_id="u", by=LENA),
    ),
    ("Accepts the update", events.UpdateAccepted(at=NOW, update_id="u")),
    ("Refuses the update", events.UpdateRefused(at=NOW, update_id="u", reason="no")),
    ("Suspended", events.InstanceSuspended(at=NOW)),
    ("Resumed", events.InstanceResumed(at=NOW)),
    ("Continues as new", events.InstanceContinuedAsNew(at=NOW)),
    ("Completed", events.InstanceCompleted(at=NOW)),
    ("Failed", events.InstanceFailed(at=NOW, failure=FailureDetails(type="E", message="m"))),
    ("Terminated", events.InstanceTerminated(at=NOW)),
]  # fmt: skip


def entries(*told: Any) -> list[HistoryEntry]:
    return [
        HistoryEntry(execution=1, number=number, event=event, hash="ab" * 32)
        for number, event in enumerate(told, start=1)
    ]


def test_every_event_has_its_words() -> None:
    lines = story(entries(*(event for _, event in LIFE)), NOW)

    assert [line.words for line in lines] == [words for words, _ in LIFE]
    assert {type(event) for _, event in LIFE} == set(events.Event.__args__)
    links = {line.words: line.href for line in lines if line.href}
    assert links == {
        "Asks for an approval": "/approvals/a:1:4",
        "Starts ship": "/instances/a:1:5",
        "Starts notify, on its own": "/instances/n-1",
    }


def test_what_is_open_at_the_end_is_what_it_waits_for() -> None:
    started = [event for words, event in LIFE if words in ("Asks for an approval", "Sets a timer")]
    doubt = [event for words, event in LIFE if words in ("Calls pay", "pay is in doubt")]
    threads = threads_of(entries(*started, *doubt))
    waiting = state("a", "buy", running=1, waiting_for=["Go"])

    told = waits(waiting, threads, NOW + timedelta(days=2, hours=4))

    assert [(fact.label, fact.text, fact.note) for fact in told[:2]] == [
        ("Waits for", "Go", "for 2 d 4 h"),
        ("Waits for", "people's approval", "for 2 d 4 h"),
    ]
    assert told[2].when is not None and told[2].when.text == "overdue 2 d"
    assert [doubt.name for doubt in threads.doubts.values()] == ["pay"]
    assert waits(state("a", "buy", status=Status.COMPLETED), threads, NOW) == []


def state(id: str, name: str, status: Status = Status.RUNNING, **facts: Any) -> InstanceState:
    return InstanceState(
        id=id, name=name, version="", execution=1, status=status, created_at=NOW, updated_at=NOW,
        **facts,
    )  # fmt: skip


def test_the_list_says_what_each_instance_is_at() -> None:
    shown = msgspec.Raw(msgspec.json.encode(row(title="Refund 600")))
    broken = FailureDetails(type="ValueError", message="no such order")
    states = [
        state("a:1:1", APPROVAL, parent_id="a", custom_status=shown),
        state("a", "buy"),
        state("b", "buy", waiting_for=["Go"], pending_events=2, running=1),
        state("c", "buy", status=Status.FAILED, failure=broken),
        state("d", "buy", status=Status.QUARANTINED, problem="code changed"),
        state("e", "buy", status=Status.COMPLETED),
        state("f", APPROVAL, custom_status=msgspec.Raw(b'"odd"')),
    ]

    rows = instance_rows(states, NOW + timedelta(hours=2))

    assert [(each.href, each.note) for each in rows] == [
        ("/approvals/a:1:1", "Open: Refund 600"),
        ("/instances/a", "Waits for people for 2 h"),
        ("/instances/b", "Waits for Go for 2 h, 1 running, 2 events unread"),
        ("/instances/c", "ValueError: no such order"),
        ("/instances/d", "code changed"),
        ("/instances/e", ""),
        ("/approvals/f", ""),
    ]


# Whoever acts in somebody's place.


@pytest.mark.parametrize(
    ("what", "through", "told"),
    [
        ("approved", "lena", "approved it for Lena Fischer"),
        ("claimed", "lena", "claimed it for Lena Fischer"),
        ("voted", "nobody-known", "approved, as one of several for nobody-known"),
        ("approved", "", "approved it"),
    ],
)
def test_the_audit_says_in_whose_place_somebody_did_it(what: str, through: str, told: str) -> None:
    entry = AuditEntry(
        number=1, at=NOW, by="omar", through=through, channel="web", what=what, detail="", hash="f"
    )

    (shown,) = entry_views([entry], NAMES, NOW)

    assert (shown.who, shown.what) == ("Omar Haddad", told)
    change = {"what": what, "by": "omar", "at": NOW, "detail": "", "through": through}
    assert happened([change], NAMES, NOW)[0].text == f"Omar Haddad {told}"


AWAY_GRACE = Absent(id="grace", groups=["finance"], roles=["lead"])
AWAY_OMAR = Absent(id="omar", roles=["approver"])


@pytest.mark.parametrize(
    ("facts", "absent", "pick"),
    [
        ({"to": ["group:finance"]}, [AWAY_GRACE], True),
        ({"to": ["group:finance"]}, [], False),
        ({"to": ["grace"], "voted": ["grace"]}, [AWAY_GRACE], False),
        ({"to": ["grace"], "represented": ["grace"]}, [AWAY_GRACE], False),
        ({"to": ["grace"], "not_by": ["grace"]}, [AWAY_GRACE], False),
        ({"to": ["grace"], "not_by": ["lena"]}, [AWAY_GRACE], False),
        ({"to": ["grace"], "voted": ["lena"]}, [AWAY_GRACE], False),
        ({"to": ["lena"], "represented": ["lena"]}, [], False),
        ({"to": ["grace", "omar"], "voted": ["grace"]},
         [AWAY_GRACE, AWAY_OMAR], True),
        ({"to": ["grace"], "not_by": ["role:lead"]}, [AWAY_GRACE], False),
        ({"to": ["grace"]}, [structs.replace(AWAY_GRACE, roles=["viewer"])], False),
    ],
)  # fmt: skip
def test_a_row_can_be_picked_by_who_may_decide_it_in_somebodys_place(
    facts: dict[str, Any], absent: list[Absent], pick: bool
) -> None:
    names = Names(LocalPeople(DEMO_PEOPLE), structs.replace(LENA, stands_in_for=absent))

    assert bool(row_view(row(**facts), Search(), names, NOW).pick) == pick
