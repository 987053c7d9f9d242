"""Local mode: without an account and without tokens, and therefore for this machine only."""

from typing import Any

import pytest
from starlette.requests import Request

from apps.support_agent.tests.teams_in.connector import TENANT, execute, message, token
from apps.support_agent.tests.teams_in.place import MESSAGES, Place
from support_agent.channels.teams.bodies import Refused
from support_agent.channels.teams.endpoint import check_local

PLAYGROUND = "http://127.0.0.1:56150/_connector"


def from_playground(text: str = "refund A-1001", /, **changed: Any) -> dict[str, Any]:
    """As the Agents Playground sends it."""
    held = {
        "serviceUrl": PLAYGROUND,
        "from": {"id": "user-id-0", "name": "Alex", "aadObjectId": "0000-0020"},
        "recipient": {"id": "bot-id", "name": "Test Bot"},
        "conversation": {"id": "personal-1", "conversationType": "personal", "tenantId": "0001"},
        "channelData": {"tenant": {"id": "0001"}},
    }
    return message(text, **{**held, **changed})


def test_the_playground_needs_no_token(local: Place) -> None:
    assert local.post(from_playground(), headers={}).status_code == 200

    (incoming,) = local.inbound.messages
    assert (incoming.sender.account, incoming.sender.name) == ("0001/0000-0020", "Alex")
    assert incoming.address.data["service_url"] == PLAYGROUND


def test_an_id_of_the_playground_will_do_where_there_is_no_object_id(local: Place) -> None:
    sender, place = {"id": "user-id-0"}, {"id": "personal-1", "conversationType": "personal"}
    held = from_playground(conversation=place, channelData=None, **{"from": sender})

    assert local.post(held, headers={}).status_code == 200

    assert local.inbound.messages[0].sender.account == "local/user-id-0"


def test_an_id_that_would_read_as_another_account_is_none(local: Place) -> None:
    for id in (f"{TENANT}/x", "a b", "", "x" * 200, 7):
        assert local.post(from_playground(**{"from": {"id": id}}), headers={}).status_code == 200
    assert local.inbound.calls == 0


def test_in_a_group_the_mention_is_left_out_also_when_the_playground_does_not_name_it(
    local: Place,
) -> None:
    group = {"id": "19:g", "conversationType": "groupChat", "isGroup": True}
    held = from_playground("<at>Test Bot</at> hi", conversation=group)

    assert local.post(held, headers={}).status_code == 200

    assert local.inbound.messages[0].text == "hi"


def test_a_decision_comes_by_the_same_door(local: Place) -> None:
    held = execute(serviceUrl=PLAYGROUND)

    assert local.post(held, headers={}).json()["value"] == "Approved."
    assert local.inbound.decisions[0].typed == {"amount": "19.80"}


def test_answers_stay_on_this_machine(local: Place) -> None:
    for address in ("https://smba.trafficmanager.net/emea/", "http://10.0.0.1/", "http://x/"):
        assert local.post(from_playground(serviceUrl=address), headers={}).status_code == 401
    assert local.inbound.calls == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
        ("host", "evil.example@127.0.0.1"),
        ("host", "127.0.0.1:x"),
        ("host", "0.0.0.0"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:3978"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "tunnel.example"),
        ("forwarded", "for=203.0.113.9"),
    ],
)
def test_pages_and_tunnels_reach_nobody(local: Place, name: str, value: str) -> None:
    answer = local.post(from_playground(), headers={name: value})

    assert answer.status_code == 403
    assert local.inbound.calls == 0


def test_other_machines_reach_nobody() -> None:
    # Were the server to listen elsewhere after all. No socket of this machine has such a client.
    for client in (("10.0.0.5", 40_000), ("2001:db8::1", 40_000), ("", 0), None):
        scope = {"type": "http", "client": client, "headers": [(b"host", b"127.0.0.1:3978")]}
        with pytest.raises(Refused):
            check_local(Request(scope))

    check_local(Request({**scope, "client": ("::1", 40_000)}))


def test_a_page_cannot_send_json_without_being_asked(local: Place) -> None:
    # What a browser sends to another origin without asking that first.
    body, plain = '{"type": "message"}', {"content-type": "text/plain"}

    assert local.http.post(MESSAGES, content=body, headers=plain).status_code == 415
    assert local.http.options(MESSAGES).status_code == 405


def test_the_names_of_loopback_are_all_the_same(local: Place) -> None:
    for host in ("localhost", "LOCALHOST:3978", "127.0.0.1:3978", "[::1]:3978"):
        assert local.post(from_playground(), headers={"host": host}).status_code == 200


@pytest.mark.slow
def test_other_channels_of_the_playground_are_refused(local: Place) -> None:
    assert local.post(from_playground(channelId="webchat"), headers={}).status_code == 400


@pytest.mark.slow
def test_with_credentials_nothing_of_this_is_open(place: Place) -> None:
    assert place.post(from_playground(), headers={}).status_code == 401
    assert place.post(from_playground(), token()).status_code == 401
    assert place.inbound.calls == 0
