"""Signed webhooks, over real connections and a virtual clock."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from adjourn.engine.clock import SystemClock
from adjourn.notify.port import again, pause_after
from adjourn.notify.settings import WebhookSettings
from adjourn.notify.webhooks import PAUSES, SPACE, EndpointState, sign
from adjourn.store.records import Records
from tests.notify.bureau import GRACE, LENA, OMAR, Asked, Settings, a_bureau, notes, states
from tests.notify.hooks import Hooks, answer, some_hooks

FIRST = "whsec_" + base64.b64encode(b"first secret of thirty-two bytes").decode()
SECOND = "whsec_" + base64.b64encode(b"another secret of thirty-2 bytes").decode()
SECRETS = {"HOOK": FIRST}


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with some_hooks() as made:
        yield made


def hook_to(hooks: Hooks, **words: Any) -> Settings:
    given: dict[str, Any] = {
        "name": "ledger",
        "url": f"http://{hooks.place}/hook",
        "secret_env": "HOOK",
        "allow_private": [hooks.place],
    }
    return Settings(webhooks=[WebhookSettings(**(given | words))])


def types(hooks: Hooks) -> list[str]:
    return [called.json["type"] for called in hooks.calls]


def test_the_published_vector_holds() -> None:
    """Of the specification's own reference libraries."""
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)
    made = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')
    assert made == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_what_happens_is_told_with_a_link_and_nothing_of_the_proposal(hooks: Hooks) -> None:
    with a_bureau(hook_to(hooks), environment=SECRETS) as box:
        box.start("ask", Asked(need=2), id="D-1")
        asked = box.inbox().one()
        asked.ask(by=LENA, question="Which?", to="grace")
        asked.answer(by=GRACE, text="That.")
        asked.approve(by=LENA)
        box.advance(days=2)
        asked.approve(by=OMAR)
        asked.undo(by=OMAR)
        asked.approve(by=LENA)
        asked.approve(by=OMAR)
        box.advance(seconds=11)
    assert types(hooks) == [
        "approval.opened",
        "approval.asked",
        "approval.answered",
        "approval.reminded",
        "approval.reminded",
        "approval.escalated",
        "approval.undone",
        "approval.decided",
    ]
    last = hooks.calls[-1]
    assert last.line == "POST /hook HTTP/1.1"
    assert last.headers["content-type"] == "application/json"
    data = last.json["data"]
    assert data["status"] == "approved" and data["decided_by"] == ["lena", "omar"]
    assert data["title"] == "Open the door" and data["case"] == "D-1"
    assert data["url"] == "https://adjourn.example.com/approvals/" + asked.id.replace(":", "%3A")
    for called in hooks.calls:
        for secret in (b"under the mat", b"Ada Customer", b"Which?", b"That."):
            assert secret not in called.body
    assert len({called.headers["webhook-id"] for called in hooks.calls}) == len(hooks.calls)


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("expire", "approval.expired"),
        ("cancel", "approval.cancelled"),
        ("reject", "approval.decided"),
    ],
)
def test_each_ending_has_its_own_word(hooks: Hooks, ending: str, told: str) -> None:
    settings = hook_to(hooks, events=[told])
    with a_bureau(settings, environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        asked = box.inbox().one()
        if ending == "cancel":
            asked.cancel(by=GRACE)
        elif ending == "reject":
            asked.reject(by=LENA, reason="No.")
        box.advance(days=8)
    assert types(hooks) == [told], "and what is filtered out is not sent"


def test_all_current_secrets_sign(hooks: Hooks) -> None:
    with a_bureau(hook_to(hooks), environment={"HOOK": f"{FIRST} {SECOND}"}) as box:
        box.start("ask", Asked(), id="D-1")
        now = box.clock.now()
    (called,) = hooks.calls
    signatures = called.headers["webhook-signature"].split(" ")
    expected = [
        Webhook(secret).sign(called.headers["webhook-id"], now, called.body.decode())
        for secret in (FIRST, SECOND)
    ]
    assert signatures == expected


@pytest.mark.parametrize("secret", [FIRST, SECOND])
def test_a_receiver_verifies_with_the_library_as_it_comes(secret: str) -> None:
    keys = [Webhook(each)._whsecret for each in (FIRST, SECOND)]
    body = b'{"type":"approval.opened"}'
    headers = sign(keys, "note:1", SystemClock().now(), body)
    assert Webhook(secret).verify(body, headers) == {"type": "approval.opened"}


@pytest.mark.slow
def test_an_endpoint_that_is_down_for_two_days_is_told_all_of_it_with_the_same_ids(
    hooks: Hooks,
) -> None:
    hooks.says = lambda _: answer(503)
    with a_bureau(hook_to(hooks, events=["approval.opened"]), environment=SECRETS) as box:
        for number in range(3):
            box.start("ask", Asked(), id=f"D-{number}")
        box.advance(days=2)
        assert set(states(box).values()) == {"again"}
        hooks.says = lambda _: answer(200)
        box.advance(days=1)
        assert set(states(box).values()) == {"sent"}
    by_id: dict[str, set[bytes]] = {}
    for called in hooks.calls:
        by_id.setdefault(called.headers["webhook-id"], set()).add(called.body)
    assert len(by_id) == 3 and all(len(bodies) == 1 for bodies in by_id.values())


def test_it_is_given_up_after_days_and_that_is_seen(
    hooks: Hooks, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.says = lambda _: answer(500, b"secret of theirs")
    with a_bureau(hook_to(hooks, events=["approval.opened"]), environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        box.advance(days=3)
        assert states(box)["ledger", "approval.opened"] == "again"
        box.advance(days=1, hours=12)
        assert states(box)["ledger", "approval.opened"] == "given_up"
        assert notes(box)[0]["why"] == "it answered 500; after 10 attempts"
    assert len(hooks.calls) == len(PAUSES) + 1
    assert "ledger was not told" in caplog.text and "secret of theirs" not in caplog.text


@pytest.mark.slow
def test_the_pauses_are_the_same_again_and_not_those_of_another(hooks: Hooks) -> None:
    hooks.says = lambda _: answer(500)
    at: dict[str, list[int]] = {}
    with a_bureau(hook_to(hooks, events=["approval.opened"]), environment=SECRETS) as box:
        for number in range(2):
            box.start("ask", Asked(), id=f"D-{number}")
        box.advance(days=5)
    for called in hooks.calls:
        times = at.setdefault(called.headers["webhook-id"], [])
        times.append(int(called.headers["webhook-timestamp"]))
    for id, times in at.items():
        waited = [later - sooner for sooner, later in pairwise(times)]
        planned = [pause_after(PAUSES, attempt, id) or 0 for attempt in range(1, 10)]
        assert all(abs(w - p) <= 1 for w, p in zip(waited, planned, strict=True))
        assert all(
            pause <= each <= pause * 1.2 for pause, each in zip(PAUSES, planned, strict=True)
        )
    first, second = at.values()
    assert [t - first[0] for t in first] != [t - second[0] for t in second]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7200", 7200),
        ("Thu, 01 Jan 2026 12:00:00 GMT", 3 * 3600),
        ("99999999999999", 24 * 3600),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("1e9", 0),
        ("\u0661\u0660", 0),
    ],
)
def test_retry_after_is_honoured(hooks: Hooks, header: str, seconds: float) -> None:
    hooks.says = lambda _: answer(429, retry_after=header)
    with a_bureau(hook_to(hooks, events=["approval.opened"]), environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        hooks.says = lambda _: answer(200)
        box.advance(seconds=max(seconds, 5) - 1)
        assert len(hooks.calls) == 1
        box.advance(seconds=5)
        assert len(hooks.calls) == 2


@pytest.mark.parametrize("status", [100, 199, 204, 301, 302, 307, 400, 401, 404, 409, 500])
def test_only_2xx_is_success(hooks: Hooks, status: int) -> None:
    hooks.says = lambda _: answer(status, location="/elsewhere")
    seconds = 1.0 if status < 200 else 15.0  # after those comes another answer, which does not
    settings = hook_to(hooks, events=["approval.opened"], timeout_seconds=seconds)
    with a_bureau(settings, environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        expected = "sent" if status == 204 else "again"
        assert states(box)["ledger", "approval.opened"] == expected
    assert [called.line for called in hooks.calls] == ["POST /hook HTTP/1.1"]


def test_what_is_ended_from_outside_is_told_as_cancelled(hooks: Hooks) -> None:
    """Whoever keeps count of what is open hears of every end."""
    with a_bureau(hook_to(hooks), environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        box.terminate("D-1", "not needed any more")
        box.advance(days=8)
    opened, ended = (each.json for each in hooks.calls)
    assert opened["type"] == "approval.opened" and ended["type"] == "approval.cancelled"
    assert ended["data"]["status"] == "cancelled"
    assert ended["data"]["version"] == opened["data"]["version"] + 1


def test_410_disables_until_somebody_enables_it(
    hooks: Hooks, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.says = lambda _: answer(410)
    settings = hook_to(hooks, events=["approval.opened"])
    records = Records(tmp_path / "records", SystemClock().now)
    with a_bureau(settings, environment=SECRETS, records=records) as box:
        box.start("ask", Asked(), id="D-1")
        assert states(box) == {("ledger", "approval.opened"): "given_up"}
        box.start("ask", Asked(), id="D-2")
        assert len(hooks.calls) == len(notes(box)) == 1, "it is gone: nobody asks again"
        assert "ledger answered 410" in caplog.text
        state = asyncio.run(records.get(SPACE, "ledger", EndpointState))
        assert state is not None and state.missed == 2
        hooks.says = lambda _: answer(200)
        url = settings.webhooks[0].url
        asyncio.run(records.put(SPACE, "ledger", EndpointState(url=url)))
        box.start("ask", Asked(), id="D-3")
        assert len(hooks.calls) == 2
    records.close()


def test_another_address_is_another_endpoint(hooks: Hooks, tmp_path: Path) -> None:
    hooks.says = lambda _: answer(410)
    records = Records(tmp_path / "records", SystemClock().now)
    for path, calls in (("/old", 1), ("/old", 1), ("/new", 2)):
        settings = hook_to(hooks, url=f"http://{hooks.place}{path}", events=["approval.opened"])
        with a_bureau(settings, environment=SECRETS, records=records) as box:
            box.start("ask", Asked(), id="D-1")
        assert len(hooks.calls) == calls
    records.close()


def test_what_was_under_way_when_it_was_disabled_waits_for_it(hooks: Hooks, tmp_path: Path) -> None:
    hooks.says = lambda _: answer(500)
    settings = hook_to(hooks, events=["approval.opened"])
    records = Records(tmp_path / "records", SystemClock().now)
    with a_bureau(settings, environment=SECRETS, records=records) as box:
        box.start("ask", Asked(), id="D-1")
        hooks.says = lambda _: answer(410)
        box.start("ask", Asked(), id="D-2")
        hooks.says = lambda _: answer(200)
        box.advance(hours=1)
        assert sorted(note["state"] for note in notes(box)) == ["again", "given_up"]
        url = settings.webhooks[0].url
        asyncio.run(records.put(SPACE, "ledger", EndpointState(url=url)))
        box.advance(hours=3)
        assert sorted(note["state"] for note in notes(box)) == ["given_up", "sent"]
    records.close()


def test_an_endpoint_that_is_taken_away_is_told_nothing_more(hooks: Hooks, tmp_path: Path) -> None:
    hooks.says = lambda _: answer(500)
    file = str(tmp_path / "door.db")
    with a_bureau(hook_to(hooks), file, environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        start = box.clock.now()
    settings = hook_to(hooks, name="other")
    with a_bureau(settings, file, environment=SECRETS, start=start) as box:
        box.advance(hours=1)
        assert states(box)["ledger", "approval.opened"] == "dropped"


def test_a_secret_that_was_changed_meanwhile_signs(hooks: Hooks, tmp_path: Path) -> None:
    hooks.says = lambda _: answer(500)
    file = str(tmp_path / "door.db")
    with a_bureau(hook_to(hooks), file, environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        start = box.clock.now()
    with a_bureau(hook_to(hooks), file, environment={"HOOK": SECOND}, start=start) as box:
        box.advance(seconds=10)
    first, last = hooks.calls[0], hooks.calls[-1]
    assert first.headers["webhook-id"] == last.headers["webhook-id"]
    at = datetime.fromtimestamp(int(last.headers["webhook-timestamp"]), UTC)
    expected = Webhook(SECOND).sign(last.headers["webhook-id"], at, last.body.decode())
    assert last.headers["webhook-signature"] == expected


def test_an_address_that_is_not_allowed_is_never_called(hooks: Hooks) -> None:
    settings = hook_to(hooks, allow_private=[], events=["approval.opened"])
    with a_bureau(settings, environment=SECRETS) as box:
        box.start("ask", Asked(), id="D-1")
        assert notes(box)[0]["why"] == "It must be https."
        box.advance(days=5)
        assert notes(box)[0]["state"] == "given_up"
    assert hooks.connections == 0


def test_the_table_of_pauses_is_more_than_three_days() -> None:
    assert timedelta(days=3) < timedelta(seconds=sum(PAUSES)) < timedelta(days=5)
    assert again(PAUSES, 1, "x", "busy", after=9_999).pause_seconds == 9_999
    assert again(PAUSES, 10, "x", "busy").state == "given_up"
