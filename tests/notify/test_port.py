"""Ids and pauses: the same for ever, and decided by nothing but what they are of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from adjourn.approvals.people import Person
from adjourn.model.ids import check_instance_id
from adjourn.notify import mail
from adjourn.notify.mail import kinds_of
from adjourn.notify.port import digest_id, note_id, pause_after
from tests.notify.bureau import Asked, Settings, a_bureau, mail_to
from tests.notify.post import a_post

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_ids_are_pinned() -> None:
    """They are in histories, in mails and with receivers: a change would tell everybody again."""
    made = note_id("D-1:1:1", 1, "mail", "new", "lena")
    assert check_instance_id(made) == "note:665f46b6854bb9450f4492217a3f0ec5bac64b15"
    assert digest_id("lena", NOON) == "digest:d99594558f73b455a707c8878b4048c859e18a71"


def test_each_step_channel_and_recipient_has_its_own_id() -> None:
    parts = [("a", 1, "mail", "new", "b"), ("a", 2, "mail", "new", "b")]
    parts += [("a", 1, "webhook", "new", "b"), ("a", 1, "mail", "reminder", "b")]
    parts += [("a", 1, "mail", "new", "c"), ("c", 1, "mail", "new", "b")]
    assert len({note_id(*each) for each in parts}) == len(parts)  # type: ignore[arg-type]
    assert note_id("a", 11, "mail", "", "b") != note_id("a", 1, "mail", "1", "b")


def test_mail_is_tried_for_days() -> None:
    assert timedelta(days=3) < timedelta(seconds=sum(mail.PAUSES)) < timedelta(days=5)
    assert pause_after(mail.PAUSES, 1, "x") == pause_after(mail.PAUSES, 1, "x")
    assert pause_after(mail.PAUSES, 1, "x") != pause_after(mail.PAUSES, 1, "y")
    assert pause_after(mail.PAUSES, len(mail.PAUSES) + 1, "x") is None


def test_a_step_is_about_what_has_happened_in_it() -> None:
    assert kinds_of(["opened"], False) == ["new"]
    assert kinds_of(["claimed", "commented", "voted", "snoozed", "unclaimed"], False) == []
    assert kinds_of(["reminded", "reminded", "escalated"], False) == ["escalation", "reminder"]
    assert kinds_of(["opened", "approved"], True) == ["decided"]


@pytest.mark.slow
def test_who_is_left_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    many = [
        Person(
            id=f"p{number}",
            name="P",
            groups=["doors"],
            roles=["approver"],
            email=f"p{number}@example.com",
        )
        for number in range(mail.PEOPLE_LIMIT + 3)
    ]
    with a_post() as post, a_bureau(Settings(mail_to(post)), people=many) as box:
        box.start("ask", Asked(), id="D-1")
        assert len(post.taken) == mail.PEOPLE_LIMIT
    assert "3 people are not told of it" in caplog.text
