"""The bot's own token: fetched by the SDK and msal from an authority on loopback, over TLS."""

import asyncio
import dataclasses
import logging
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from apps.support_agent.tests.teams_out import fake_entra
from apps.support_agent.tests.teams_out.fake_connector import FakeConnector
from apps.support_agent.tests.teams_out.fake_entra import FakeEntra
from apps.support_agent.tests.teams_out.stage import CONVERSATION
from support_agent.channels.port import TryAgain
from support_agent.channels.teams.places import Place
from support_agent.channels.teams.sdk import Connector, from_name, message, with_overrides
from support_agent.channels.teams.settings import TeamsSettings

CLIENT_ID = "0f0e0d0c-0b0a-0908-0706-050403020100"
SECRET = "Xq8~not-a-real-secret"
SETTINGS = TeamsSettings(
    client_id=CLIENT_ID, client_secret=SECRET, tenant_id=fake_entra.TENANT, cloud="Public"
)


@dataclass
class World:
    entra: FakeEntra
    connector: FakeConnector
    place: Place
    login: str

    def outbound(self, settings: TeamsSettings = SETTINGS) -> Connector:
        cloud = with_overrides(from_name(settings.cloud), login_endpoint=self.login)
        return Connector(settings, cloud=cloud)

    def tokens_seen(self) -> list[str | None]:
        return [call.headers.get("Authorization") for call in self.connector.calls]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    tls, trusted = fake_entra.certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)  # msal's client
    monkeypatch.setenv("SSL_CERT_FILE", trusted)  # the SDK's
    entra, connector = FakeEntra(CLIENT_ID, SECRET), FakeConnector()
    with ExitStack() as stack:
        service_url = stack.enter_context(connector.serving(tls))
        login = stack.enter_context(entra.serving(tls))
        yield World(entra, connector, Place(service_url, CONVERSATION), login)


async def posted(outbound: Connector, place: Place, times: int = 1) -> list[str]:
    try:
        return [await outbound.post(place, message(f"Number {n}.")) for n in range(times)]
    finally:
        await outbound.close()


def test_the_token_is_asked_for_by_client_id_and_secret_and_sent(world: World) -> None:
    asyncio.run(posted(world.outbound(), world.place))
    [form] = world.entra.asked
    assert form["grant_type"] == "client_credentials"
    assert form["scope"] == "https://api.botframework.com/.default"
    assert world.tokens_seen() == [f"Bearer {world.entra.issued[0]}"]
    assert world.connector.texts(CONVERSATION) == ["Number 0."]


def test_one_token_serves_many_messages(world: World) -> None:
    asyncio.run(posted(world.outbound(), world.place, times=5))
    assert len(world.entra.asked) == 1
    assert len(set(world.tokens_seen())) == 1


def test_a_wrong_secret_is_tried_again_and_names_the_setting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = dataclasses.replace(SETTINGS, client_secret="wrong-Xq8~and-secret")
    with caplog.at_level(logging.DEBUG), pytest.raises(TryAgain) as raised:
        asyncio.run(posted(world.outbound(wrong), world.place))
    assert "SUPPORT_TEAMS_CLIENT_SECRET" in str(raised.value)
    assert "invalid_client" in str(raised.value)
    assert world.connector.calls == []
    said = caplog.text + "".join(traceback.format_exception(raised.value))
    assert "wrong-Xq8" not in said


def test_no_secret_and_no_token_is_in_any_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        asyncio.run(posted(world.outbound(), world.place))
    assert SECRET not in caplog.text
    assert world.entra.issued[0] not in caplog.text
    assert world.entra.issued[0].split(".")[2] not in caplog.text


def test_an_authority_that_cannot_be_reached_is_tried_again(world: World) -> None:
    world.entra.broken = True
    with pytest.raises(TryAgain, match="Entra could not be reached"):
        asyncio.run(posted(world.outbound(), world.place))
    assert world.connector.calls == []


def test_a_slow_authority_holds_up_nobody_else(world: World) -> None:
    """Both of msal's requests, the authority's addresses and the token, run off the loop."""

    async def scene() -> None:
        world.entra.held.clear()
        waiting, free = world.outbound(), _without_credentials(world)
        sending = asyncio.create_task(waiting.post(world.place, message("With a token.")))
        try:
            await asyncio.to_thread(world.entra.arrived.wait, 20)
            await free.post(world.place, message("Without one."))
            assert world.connector.texts(CONVERSATION) == ["Without one."]
            assert not sending.done()
            world.entra.held.set()
            await sending
        finally:
            sending.cancel()
            await waiting.close()
            await free.close()

    asyncio.run(scene())
    assert world.connector.texts(CONVERSATION) == ["Without one.", "With a token."]


@pytest.mark.slow
def test_an_authority_that_says_nothing_is_tried_again(world: World) -> None:
    async def scene() -> None:
        world.entra.held.clear()
        outbound = world.outbound()
        outbound.answer_seconds = 0.3
        try:
            with pytest.raises(TryAgain, match="in time"):
                await outbound.post(world.place, message("Hello."))
        finally:
            world.entra.held.set()
            await outbound.close()

    asyncio.run(scene())
    assert world.connector.calls == []


def test_the_connector_that_refuses_the_token_names_the_setting(world: World) -> None:
    world.connector.token = "another token"
    with pytest.raises(TryAgain, match="SUPPORT_TEAMS_CLIENT_ID"):
        asyncio.run(posted(world.outbound(), world.place))


def _without_credentials(world: World) -> Connector:
    return Connector(TeamsSettings(client_id=CLIENT_ID, local=True))
