"""What is logged of a request: its id and what came of it. Nothing of what it held."""

import logging

import pytest

from apps.support_agent.tests.teams_in.connector import (
    SERVICE,
    activity,
    claims,
    decision,
    execute,
    in_group,
    mention,
    message,
    private_key,
    token,
)
from apps.support_agent.tests.teams_in.place import MESSAGES, Place, Recorder
from support_agent.channels.port import DecisionReply, TryAgain

CANARY = "canary-5f3a"
PERSON = {"id": f"29:{CANARY}", "name": f"Amina {CANARY}", "aadObjectId": f"{CANARY}"}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that anybody logs, down to the last detail."""
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.slow
def test_an_activity_is_logged_by_its_id_and_what_came_of_it(
    place: Place, log: pytest.LogCaptureFixture
) -> None:
    place.post(message(id="1001"))
    place.post(execute(id="1002"))
    place.post(activity("typing", id="1003"))
    place.post(activity("invoke", id="1004", name="x"))
    place.post(message(id="1005", conversation=None))

    ours = [each.getMessage() for each in log.records if each.name.startswith("support_agent")]
    assert ours == [
        "teams activity 1001: a message, taken",
        "teams activity 1002: approve, 200",
        "teams activity 1003: ignored, a type that is nothing to us",
        "teams activity 1004: an unknown invoke",
        "teams activity 1005: 400, no valid conversation.id",
    ]


@pytest.mark.slow
def test_nothing_of_what_came_is_logged(
    place: Place, inbound: Recorder, log: pytest.LogCaptureFixture
) -> None:
    texts = message(f"my card {CANARY}", entities=[mention(CANARY)], name=CANARY)
    place.post(texts)
    place.post(message(CANARY, **{"from": PERSON}))
    place.post(message(CANARY, conversation=in_group(id=CANARY)))
    place.post(message(CANARY, serviceUrl=f"https://{CANARY}.example/"))
    place.post(message(channelId=CANARY))
    place.post(activity(CANARY, name=CANARY, value=CANARY))
    place.post(activity("invoke", name=CANARY, value={CANARY: CANARY}))
    place.post(execute(decision(comment=CANARY, **{f"field.{CANARY}": CANARY})))
    place.post(execute(decision(approval=f"{CANARY} {CANARY}")))
    place.post(message(id=f"{CANARY}\n{CANARY}"))
    place.http.post(
        MESSAGES,
        content=f'{{"{CANARY}": {CANARY}',
        headers={"authorization": f"Bearer {token()}", "content-type": "application/json"},
    )
    for failure in (TryAgain(CANARY), RuntimeError(CANARY), KeyError(CANARY)):
        inbound.failure = failure
        place.post(message(CANARY))
        place.post(execute(decision(comment=CANARY)))
    inbound.failure, inbound.reply = None, DecisionReply(403, CANARY)
    place.post(execute())

    assert "teams activity" in log.text
    assert CANARY not in log.text


@pytest.mark.slow
def test_nothing_of_a_token_is_logged(place: Place, log: pytest.LogCaptureFixture) -> None:
    tokens = [
        token(),
        token(claims(aud=CANARY)),
        token(claims(iss=f"https://{CANARY}/")),
        token(claims(serviceurl=f"https://{CANARY}/")),
        token(claims(exp=-900, sub=CANARY)),
        token(key_id=CANARY),
        token(key=private_key("a forger's")),
        f"{CANARY}.{CANARY}.{CANARY}",
    ]
    for each in tokens:
        place.post(message(), each)
    place.post(message(), headers={"authorization": f"Basic {CANARY}"})
    place.post(message(), headers={"authorization": f"Bearer {token()}", "cookie": CANARY})

    assert "teams request: 401" in log.text
    assert CANARY not in log.text
    for each in tokens:
        assert not any(part in log.text for part in each.split(".") if len(part) > 20)
    assert SERVICE not in log.text
    # The SDK would write an error for each of them, in words that are not ours to vouch for.
    assert not [each for each in log.records if each.name.startswith("microsoft_teams")]


@pytest.mark.slow
def test_a_fault_of_ours_is_logged_by_where_it_is(
    place: Place, inbound: Recorder, log: pytest.LogCaptureFixture
) -> None:
    inbound.failure = KeyError(CANARY)

    place.post(message(id="1001"))

    assert "teams activity 1001: not taken, KeyError at place.py:" in log.text


@pytest.mark.slow
def test_what_is_refused_is_logged_with_the_rule(
    place: Place, log: pytest.LogCaptureFixture
) -> None:
    place.post(message(), headers={})
    place.post(message(), token(claims(exp=None)))
    place.post(message(), token(claims(exp=-900)))
    place.post(message(), token(claims(serviceurl="https://smba.trafficmanager.net/")))

    ours = [each.getMessage() for each in log.records if each.name.startswith("support_agent")]
    assert ours == [
        "teams request: 401, no bearer token",
        "teams request: 401, a token without an expiry",
        "teams request: 401, ExpiredSignatureError",
        "teams request: 401, another service address than the token's",
    ]
