"""What the endpoint answers to the connector, and what it tells the application."""

import asyncio
import json
import socket
from typing import Any

import pytest

from apps.support_agent.tests.teams_in.connector import (
    BOT,
    PATIENCE_SECONDS,
    PERSON,
    SERVICE,
    TENANT,
    activity,
    decision,
    execute,
    message,
    token,
)
from apps.support_agent.tests.teams_in.place import MESSAGES, Place, Recorder
from support_agent.channels.port import (
    Address,
    ApprovalCard,
    DecisionReply,
    IncomingDecision,
    IncomingMessage,
    Sender,
    TryAgain,
)
from support_agent.channels.teams import bodies
from support_agent.channels.teams.bodies import BODY_LIMIT_BYTES, DEPTH_LIMIT
from support_agent.channels.teams.endpoint import create_endpoint
from support_agent.channels.teams.settings import LOCAL_CLIENT_ID, TeamsSettings

AMINA = Sender(f"{TENANT}/{PERSON}", "Amina Diallo")
PERSONAL = Address(
    "teams",
    {
        "conversation": "a:1chat",
        "service_url": SERVICE,
        "tenant": TENANT,
        "bot": BOT,
        "kind": "personal",
        "user": "29:1user",
    },
)
CARD = ApprovalCard(
    id="R-1001~refund",
    version=4,
    digest="9f2d",
    title="Refund 19.80 EUR to Amina Diallo",
    status="Approved by Lena Fischer: 19.80 EUR",
    open=False,
    risk="low",
    fields=(),
)


def headers(**more: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token()}", "content-type": "application/json", **more}


# Messages.


def test_a_message_reaches_the_application_before_it_is_acknowledged(
    place: Place, inbound: Recorder
) -> None:
    answer = place.post(message())

    assert (answer.status_code, answer.content) == (200, b"")
    text = "I was charged twice."
    assert inbound.messages == [
        IncomingMessage("1485983408511", AMINA, PERSONAL, "a:1chat", text, personal=True)
    ]


def test_a_redelivered_message_comes_with_the_same_id_and_is_acknowledged_again(
    place: Place, inbound: Recorder
) -> None:
    answers = [place.post(message()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200] * 3
    first, *others = inbound.messages
    assert others == [first, first]


@pytest.mark.parametrize(
    ("failure", "after"),
    [(TryAgain("busy"), None), (TryAgain("busy", 2.5), "3"), (RuntimeError("a bug"), None)],
)
def test_a_message_that_was_not_taken_is_to_come_again(
    place: Place, inbound: Recorder, failure: Exception, after: str | None
) -> None:
    inbound.failure = failure

    for body in (message(), activity("installationUpdate", action="remove")):
        answer = place.post(body)
        assert (answer.status_code, answer.content) == (503, b"")
        assert answer.headers.get("retry-after") == after


def test_absurd_pauses_are_not_passed_on(place: Place, inbound: Recorder) -> None:
    for after, said in ((float("inf"), None), (float("nan"), None), (-5, "1"), (1e9, "3600")):
        inbound.failure = TryAgain("busy", after)

        assert place.post(message()).headers.get("retry-after") == said


# Types, known and unknown.


def test_an_unknown_type_is_acknowledged_and_ignored(place: Place) -> None:
    for type in ("typing", "event", "messageReaction", "messageUpdate", "endOfConversation", "new"):
        answer = place.post(activity(type, id=None, conversation=None, recipient=None))
        assert answer.status_code == 200
    assert place.inbound.calls == 0


BROKEN: dict[str, Any] = {
    "no object": [],
    "nothing": None,
    "no type": activity("", type=None),
    "a type that is no text": activity("", type=7),
    "a type of any form": activity("message\n2026"),
    "no channel": message(channelId=None),
    "no id": message(id=None),
    "an id that is no text": message(id=7),
    "an id with a line break": message(id="1\n2"),
    "an id without an end": message(id="1" * 600),
    "no conversation": message(conversation=None),
    "a conversation that is no object": message(conversation="a:1chat"),
    "a conversation without an id": message(conversation={"conversationType": "personal"}),
    "no recipient": message(recipient=None),
    "a text that is no text": message() | {"text": ["x"]},
    "members that are no list": activity("conversationUpdate", membersAdded={"id": BOT}),
    "an update without an id": activity("conversationUpdate", id=None, membersAdded=[{"id": BOT}]),
    "an installation without an action": activity("installationUpdate"),
    "an invoke without a name": activity("invoke"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_activity_is_refused(place: Place, name: str) -> None:
    assert place.post(BROKEN[name]).status_code == 400
    assert place.inbound.calls == 0


@pytest.mark.parametrize(
    "name", ["composeExtension/query", "fileConsent/invoke", "signin/verifyState", "x"]
)
def test_an_unknown_invoke_is_answered_with_501(place: Place, name: str) -> None:
    assert place.post(activity("invoke", name=name, value={})).status_code == 501
    assert place.inbound.calls == 0


# Decisions.


def test_a_button_reaches_the_application(place: Place, inbound: Recorder) -> None:
    assert place.post(execute()).status_code == 200

    assert inbound.decisions == [
        IncomingDecision(
            id="1485983408511",
            sender=AMINA,
            action="approve",
            approval="R-1001~refund",
            version=3,
            digest="9f2c",
            typed={"amount": "19.80"},
            comment="Checked.",
        )
    ]


def test_a_decision_is_answered_with_the_card_that_takes_its_place(
    place: Place, inbound: Recorder
) -> None:
    inbound.reply = DecisionReply(200, "Approved.", CARD)

    answer = place.post(execute()).json()

    assert answer["statusCode"] == 200
    assert answer["type"] == "application/vnd.microsoft.card.adaptive"
    assert answer["value"]["type"] == "AdaptiveCard"
    assert CARD.status in json.dumps(answer["value"])
    assert "Approved." not in json.dumps(answer["value"]).replace(CARD.status, "")


@pytest.mark.parametrize("code", [403, 404, 409, 422])
def test_a_refusal_is_told_in_words(place: Place, inbound: Recorder, code: Any) -> None:
    inbound.reply = DecisionReply(code, "Lena Fischer has approved this at 10:02.")

    answer = place.post(execute())

    assert answer.status_code == 200
    assert answer.json() == {
        "statusCode": 200,
        "type": "application/vnd.microsoft.activity.message",
        "value": "Lena Fischer has approved this at 10:02.",
    }


def test_a_refusal_with_a_card_says_its_words_in_the_card(place: Place, inbound: Recorder) -> None:
    inbound.reply = DecisionReply(409, "Lena Fischer was faster.", CARD)

    answer = place.post(execute()).json()

    assert answer["type"] == "application/vnd.microsoft.card.adaptive"
    assert "Lena Fischer was faster." in json.dumps(answer["value"])


@pytest.mark.parametrize("failure", [TryAgain("busy"), RuntimeError("a bug")])
def test_a_decision_that_was_not_recorded_says_so(
    place: Place, inbound: Recorder, failure: Exception
) -> None:
    inbound.failure = failure

    answer = place.post(execute())

    assert answer.status_code == 200
    error = answer.json()
    assert (error["statusCode"], error["type"]) == (500, "application/vnd.microsoft.error")
    assert error["value"]["message"] == "This was not recorded. Please try it again in a minute."
    assert error["value"]["innerHttpError"] == {"statusCode": 503, "body": {}}
    assert "bug" not in answer.text


BROKEN_DATA: dict[str, Any] = {
    "nothing": {},
    "no data": [],
    "another action": decision(action="pay"),
    "an action that is no text": decision(action=["approve"]),
    "no approval": decision(approval=None),
    "an approval that is no text": decision(approval={"$ne": 1}),
    "an approval with a blank": decision(approval="R 1"),
    "no version": decision(version=None),
    "a version that is a truth": decision(version=True),
    "a version below nothing": decision(version=-1),
    "a version without an end": decision(version=10**30),
    "a version that is no whole number": decision(version=3.5),
    "a digest that is no text": decision(digest=7),
    "a comment that is no text": decision(comment=["x"]),
    "a comment without an end": decision(comment="x" * 9_000),
    "a field that is no text": decision(**{"field.amount": {"x": 1}}),
    "a field without an end": decision(**{"field.amount": "9" * 9_000}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BROKEN_DATA)
def test_a_button_that_we_never_drew_is_refused(place: Place, name: str) -> None:
    answer = place.post(execute(BROKEN_DATA[name]))

    assert answer.status_code == 400
    assert answer.json()["value"]["innerHttpError"] == {"statusCode": 400, "body": {}}
    assert place.inbound.calls == 0


def test_a_version_may_come_back_as_text(place: Place, inbound: Recorder) -> None:
    assert place.post(execute(decision(version="3"))).status_code == 200
    assert inbound.decisions[0].version == 3


def test_a_button_of_somebody_whom_the_directory_does_not_know_does_nothing(place: Place) -> None:
    stranger = {"id": "29:1guest", "name": "Lena Fischer"}

    answer = place.post(execute(**{"from": stranger}))

    assert answer.json()["value"] == "Your account is not known here, so this was not done."
    assert place.inbound.calls == 0


# The form of a request.


def test_only_post_is_answered(place: Place) -> None:
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"):
        answer = place.http.request(method, MESSAGES)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-type", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-type", ""),
        ("content-encoding", "gzip"),
    ],
)
def test_anything_but_json_is_refused(place: Place, name: str, value: str) -> None:
    sent = headers(**{name: value})

    answer = place.http.post(MESSAGES, content=json.dumps(message()), headers=sent)

    assert answer.status_code == 415


def test_the_charset_may_be_said(place: Place) -> None:
    sent = headers(**{"content-type": 'Application/JSON; charset="UTF-8"'})

    assert place.http.post(MESSAGES, content=json.dumps(message()), headers=sent).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        json.dumps(message(value=float("nan"))).encode(),
        json.dumps(message(value=float("inf"))).encode(),
        b"1" * 10_000,
        b'"\\ud800"',
        b"[" * 100_000,
        b'{"a":' * (DEPTH_LIMIT + 1) + b"1" + b"}" * (DEPTH_LIMIT + 1),
    ],
)
def test_a_body_that_is_no_plain_json_is_refused(place: Place, body: bytes) -> None:
    assert place.http.post(MESSAGES, content=body, headers=headers()).status_code == 400


def test_depth_is_what_is_refused_in_a_deep_body(place: Place, inbound: Recorder) -> None:
    def nested(levels: int) -> int:
        deep: Any = 1
        for _ in range(levels):
            deep = [deep]
        return place.post(message(value=deep)).status_code

    assert nested(DEPTH_LIMIT - 2) == 200
    assert nested(DEPTH_LIMIT - 1) == 400
    assert len(inbound.messages) == 1


def test_a_body_is_read_no_further_than_it_may_be_long(place: Place, inbound: Recorder) -> None:
    filled = message()
    filled["filler"] = "x" * (BODY_LIMIT_BYTES - len(json.dumps({**filled, "filler": ""})))
    fits = json.dumps(filled).encode()
    assert len(fits) == BODY_LIMIT_BYTES
    post = place.http.post

    assert post(MESSAGES, content=fits, headers=headers()).status_code == 200
    assert post(MESSAGES, content=fits + b" ", headers=headers()).status_code == 413
    # Chunked, so that no header says how long it is.
    assert post(MESSAGES, content=iter([fits, b" "]), headers=headers()).status_code == 413
    assert len(inbound.messages) == 1


def test_a_body_without_a_token_is_not_waited_for(place: Place) -> None:
    address = place.http.base_url
    with socket.create_connection((address.host, address.port or 0), PATIENCE_SECONDS) as raw:
        raw.sendall(
            b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 401 ")


def test_a_body_that_does_not_come_is_given_up(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    address = place.http.base_url
    with socket.create_connection((address.host, address.port or 0), PATIENCE_SECONDS) as raw:
        raw.sendall(
            b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + token().encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_hangs_up_leaves_no_trace(place: Place) -> None:
    address = place.http.base_url
    with socket.create_connection((address.host, address.port or 0), PATIENCE_SECONDS) as raw:
        raw.sendall(
            b"POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer " + token().encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
        )

    assert place.post(message()).status_code == 200
    assert len(place.inbound.messages) == 1


@pytest.mark.slow
def test_a_web_socket_is_closed() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def story() -> None:
        local = TeamsSettings(client_id=LOCAL_CLIENT_ID, local=True)
        await create_endpoint(local, Recorder(), None)({"type": "websocket"}, receive, send)

    asyncio.run(story())

    assert [each["type"] for each in sent] == ["websocket.close"]


@pytest.mark.slow
def test_an_answer_is_kept_by_nobody(place: Place) -> None:
    for answer in (place.post(message()), place.post(message(), headers={})):
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
