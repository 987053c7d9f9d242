"""Mails to those who decide, over a real connection and a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from adjourn import Approve, Status, watcher_id
from adjourn.approvals.people import Person
from adjourn.model.approval import Reassign
from adjourn.testing import Sandbox
from tests.notify.bureau import (
    GRACE,
    LENA,
    OMAR,
    PEOPLE,
    SAM,
    Asked,
    Settings,
    a_bureau,
    mail_to,
    notes,
    states,
)
from tests.notify.post import Post, a_post


@pytest.fixture
def post() -> Iterator[Post]:
    with a_post() as made:
        yield made


def subjects(post: Post, person: str) -> list[str]:
    return [each.subject for each in post.to(f"{person}@example.com")]


def test_who_may_decide_is_told_and_nobody_else(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        approval = box.inbox().one().id
    assert {each.to for each in post.taken} == {"lena@example.com", "omar@example.com"}
    lena = post.to("lena@example.com")[0]
    assert lena.subject == "Decision needed: Open the door"
    assert f"https://adjourn.example.com/approvals/{approval.replace(':', '%3A')}" in lena.text
    assert "Asked for by: Sam Ortiz" in lena.text and "Due: 2026-01-01 17:00 UTC" in lena.text
    assert lena.mail["Auto-Submitted"] == "auto-generated"
    assert lena.mail["List-Id"] == "Approvals <approvals.example.com>"
    for secret in ("under the mat", "Ada Customer"):
        assert secret.encode() not in lena.raw and secret not in lena.text + lena.html


def test_a_quorum_is_reminded_one_by_one_and_the_requester_hears_the_end(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(need=2), id="D-1")
        box.inbox().one().approve(by=LENA)
        box.advance(hours=5)
        assert subjects(post, "lena") == ["Decision needed: Open the door"]
        assert subjects(post, "omar")[1:] == ["Still waiting for a decision: Open the door"]
        box.inbox().one().approve(by=OMAR)
        assert subjects(post, "sam") == [], "it can still be undone"
        box.advance(seconds=11)
        assert subjects(post, "sam") == ["Approved: Open the door"]
        box.advance(days=8)
    assert len(post.taken) == 4, "none after the end"


def test_silence_is_chased_escalated_and_told(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        box.advance(days=8)
    door = "Open the door"
    reminders = [f"Still waiting for a decision: {door}"] * 2
    assert subjects(post, "lena") == [f"Decision needed: {door}", *reminders]
    assert subjects(post, "grace") == [f"Escalated to you: {door}"]
    assert subjects(post, "sam") == [f"Expired: {door}"]


def test_a_question_and_its_answer_reach_those_two(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        asked = box.inbox().one()
        asked.ask(by=LENA, question="Which door?", to="grace")
        assert subjects(post, "grace") == ["A question for you: Open the door"]
        asked.answer(by=PEOPLE[2].actor("web"), text="The red one.")
        assert subjects(post, "lena")[1:] == ["Your question was answered: Open the door"]
    assert not any("The red one" in each.text or "Which" in each.text for each in post.taken)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"email": ""}, False),
        ({"disabled": True}, False),
        ({"roles": ["viewer"]}, False),
        ({"groups": []}, False),
        ({"tenant": "other"}, False),
        ({"id": "sam"}, False),
        ({"name": "Somebody else"}, True),
    ],
)
def test_who_is_told_follows_the_rules_of_deciding(
    post: Post, changed: dict[str, object], told: bool
) -> None:
    someone = {
        "id": "mia",
        "name": "Mia",
        "groups": ["doors"],
        "roles": ["approver"],
        "email": "mia@example.com",
    }
    with a_bureau(Settings(mail_to(post)), people=[Person(**(someone | changed))]) as box:  # type: ignore[arg-type]
        box.start("ask", Asked(), id="D-1")
    assert bool(post.taken) is told


def test_who_gets_it_back_is_told_again(post: Post) -> None:
    door = "Decision needed: Open the door"
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        asked = box.inbox().one()
        for version, to in enumerate(("group:leads", "group:doors"), start=1):
            box.advance(hours=1)
            asked.act(Reassign(version=version, to=[to]), GRACE, f"click-{version}")
    assert subjects(post, "lena") == [door, door] and subjects(post, "grace") == [door]


@pytest.mark.slow
def test_what_comes_within_the_cool_down_is_told_at_its_end(post: Post) -> None:
    """Once, however much it was, and only if it still stands."""
    question, answer = "A question for you: Open the door", "Your question was answered: Open the"
    with a_bureau(Settings(mail_to(post, cool_down_minutes=60))) as box:
        box.start("ask", Asked(), id="D-1")
        asked = box.inbox().one()
        asked.ask(by=LENA, question="Which door?", to="omar")
        asked.answer(by=OMAR, text="That one.")
        box.advance(minutes=1)
        for which in ("Which key?", "Which lock?"):
            asked.ask(by=LENA, question=which, to="omar")
        box.advance(minutes=58)
        assert subjects(post, "omar").count(question) == 1
        box.advance(minutes=2)
        assert subjects(post, "omar").count(question) == 2
        asked.answer(by=OMAR, text="This one.")
        asked.answer(by=OMAR, text="And this one.")
        box.advance(hours=3)
        assert subjects(post, "omar").count(question) == 2
    assert len([each for each in subjects(post, "lena") if each.startswith(answer)]) == 3


@pytest.mark.slow
def test_who_holds_much_gets_one_digest_in_its_period(post: Post) -> None:
    with a_bureau(Settings(mail_to(post, digest_over=2))) as box:
        for number in range(6):
            box.start("ask", Asked(title=f"Open door {number}"), id=f"D-{number}")
            box.advance(minutes=1)
        assert subjects(post, "lena") == [
            "Decision needed: Open door 0",
            "Decision needed: Open door 1",
        ]
        box.inbox().rows  # noqa: B018  looked at, and left
        next(iter(box.inbox())).approve(by=LENA)
        box.advance(hours=1)
        assert subjects(post, "lena")[2:] == ["5 decisions wait for you"]
        digest = post.to("lena@example.com")[2]
        assert "Open door 0" not in digest.text
        for number in range(1, 6):
            assert f"Open door {number}" in digest.text and f"Open door {number}" in digest.html
        assert digest.text.count("https://adjourn.example.com/approvals/") == 5
        assert len(post.to("lena@example.com")) == len(post.to("omar@example.com")) == 3


@pytest.mark.slow
def test_what_a_digest_will_tell_anyway_is_told_by_it_alone(post: Post) -> None:
    """Also where some of what made it one is decided before its time has come."""
    with a_bureau(Settings(mail_to(post, digest_over=2))) as box:
        for number in range(3):
            box.start("ask", Asked(title=f"Open door {number}"), id=f"D-{number}")
        for asked in list(box.inbox())[:2]:
            asked.approve(by=LENA)
        box.start("ask", Asked(title="Open door 3"), id="D-3")
        box.advance(hours=1)
    assert subjects(post, "omar")[2:] == ["2 decisions wait for you"]
    assert "Open door 3" in post.to("omar@example.com")[2].text


def test_a_daily_digest_goes_out_at_its_time(post: Post) -> None:
    with a_bureau(Settings(mail_to(post, digest_over=0, daily_at="07:30"))) as box:
        box.start("ask", Asked(), id="D-1")
        box.start("ask", Asked(title="Open the window"), id="D-2")
        box.advance(hours=22)
        assert post.taken == []
        box.advance(hours=1)
        assert subjects(post, "lena") == ["2 decisions wait for you"]
        for asked in box.inbox():
            asked.reject(by=OMAR, reason="No.")
        box.advance(days=3)
    assert len(post.to("lena@example.com")) == 1, "nothing waits, nothing is said"


def test_an_hour_without_a_server_loses_nothing_and_sends_once(post: Post) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        box.advance(minutes=20)
        post.to_address = lambda _: "451 try later"
        post.up()
        box.advance(minutes=20)
        post.to_address = lambda _: "250 OK"
        post.to_mail = lambda _: "452 no room"
        box.advance(minutes=10)
        post.to_mail = lambda _: ""
        box.advance(minutes=10)
        assert post.taken == []
        post.to_mail = lambda _: "250 OK"
        box.advance(hours=1)
        assert [len(post.to(f"{name}@example.com")) for name in ("lena", "omar")] == [1, 1]
        assert states(box) == {("lena", "new"): "sent", ("omar", "new"): "sent"}
    assert len(set(post.seen)) == 2 and len(post.seen) > 2, "tried again with the same Message-ID"


@pytest.mark.slow
def test_days_without_a_server_end_visibly(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(to="leads"), id="D-1")
        box.advance(days=3)
        assert states(box)["grace", "new"] == "again"
        box.advance(days=3)
        assert states(box)["grace", "new"] == "given_up"
        assert "after 16 attempts" in notes(box)[0]["why"]
    post.up()


def test_one_refused_address_is_given_up_and_stops_nobody(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.to_address = lambda to: "550 no such user" if to.startswith("lena") else "250 OK"
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        assert states(box) == {("lena", "new"): "given_up", ("omar", "new"): "sent"}
        assert "550 no such user" in {note["why"] for note in notes(box)}
        found = box.list()
        assert any(each.attributes.get("notification") == "given_up" for each in found.instances)
    assert any("lena was not told" in line for line in caplog.messages)
    assert "lena@example.com" not in caplog.text


def test_what_was_decided_meanwhile_is_not_asked_any_more(post: Post) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        box.inbox().one().approve(by=LENA)
        box.advance(minutes=1)
        post.up()
        box.advance(hours=3)
        assert states(box) == {
            ("lena", "new"): "dropped",
            ("omar", "new"): "dropped",
            ("sam", "decided"): "sent",
        }
    assert [each.to for each in post.taken] == ["sam@example.com"]


def test_what_is_decided_and_undone_is_asked_after_all(post: Post) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(undo="60s"), id="D-1")
        box.advance(seconds=25)
        asked = box.inbox().one()
        asked.approve(by=LENA)
        post.up()
        box.advance(seconds=20)  # the second attempt falls into the time of undoing
        assert post.seen == [] and states(box)["omar", "new"] == "again"
        asked.undo(by=LENA)
        box.advance(minutes=10)
        assert states(box)["omar", "new"] == "sent"


def test_who_asked_and_cancels_it_need_not_be_told(post: Post) -> None:
    with a_bureau(Settings(mail_to(post))) as box:
        box.start("ask", Asked(), id="D-1")
        box.inbox().one().cancel(by=SAM)
    assert subjects(post, "sam") == []


def test_a_waiting_case_outlives_its_configuration(post: Post, tmp_path: Path) -> None:
    file = str(tmp_path / "door.db")
    post.down()
    with a_bureau(Settings(mail_to(post)), file) as box:
        box.start("ask", Asked(need=2), id="D-1")
        box.inbox().one().approve(by=OMAR)
        start = box.clock.now()
    with a_bureau(Settings(), file, start=start) as box:
        box.advance(minutes=10)
        assert set(states(box).values()) == {"dropped"}
        asked = box.inbox().one()
        watcher = watcher_id(asked.id, "notify")
        asked.act(Approve(version=asked.row.version), LENA, "click-2")
        box.advance(seconds=11)
        assert box.result("D-1") == "opened"
        assert box.get(watcher).status == Status.COMPLETED
        box.start("ask", Asked(), id="D-2")
        ids = [each.id for each in box.list().instances]
        assert not any(id.startswith("D-2") and id.endswith(":notify") for id in ids)
    post.up()


def test_the_address_and_the_server_are_looked_up_when_it_is_sent(
    post: Post, tmp_path: Path
) -> None:
    file = str(tmp_path / "door.db")
    post.down()
    with a_bureau(Settings(mail_to(post)), file) as box:
        box.start("ask", Asked(to="leads"), id="D-1")
        start = box.clock.now()
    moved = Person(
        id="grace", name="Grace", groups=["leads"], roles=["approver"], email="grace@new.example"
    )
    with (
        a_post() as other,
        a_bureau(Settings(mail_to(other)), file, people=[moved], start=start) as box,
    ):
        box.advance(minutes=10)
        assert [each.to for each in other.taken] == ["grace@new.example"]
    post.up()


@pytest.mark.slow
def test_a_crash_between_the_plan_and_the_mail_sends_once(post: Post, tmp_path: Path) -> None:
    """At every edge of a commit, as often as it comes."""
    for point in ("taken", "decided", "written", "committed", "published"):
        for nth in range(1, 9):
            before = len(post.taken)
            file = str(tmp_path / f"{point}{nth}.db")
            with a_bureau(Settings(mail_to(post)), file) as box:
                box.crash_at(point, nth)  # type: ignore[arg-type]
                start_surely(box)
                box.advance(timedelta(seconds=1))
            sent = [each.mail["Message-ID"] for each in post.taken[before:]]
            assert len(set(sent)) == 1 and 1 <= len(sent) <= 2, (point, nth, sent)


def start_surely(box: Sandbox) -> None:
    from adjourn.errors import AdjournError

    for _ in range(3):
        try:
            box.start("ask", Asked(to="leads"), id="D-1")
            return
        except AdjournError:
            continue
    raise AssertionError("it could not be started")
