"""What goes over the wire to Teams, and what its answers mean."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import TypeVar

import pytest

from apps.support_agent.tests.teams_out.fake_connector import Fault
from apps.support_agent.tests.teams_out.stage import (
    CONVERSATION,
    LOCAL,
    TENANT,
    TeamsStage,
    address_in,
    stage_on,
)
from support_agent.channels.port import (
    Address,
    ChannelTrouble,
    MessageRef,
    Text,
    TryAgain,
    Unreachable,
)
from support_agent.channels.teams.channel import TeamsChannel
from support_agent.channels.teams.settings import TeamsSettings
from support_agent.channels.testing import approval_card
from support_agent.clock import now

pytestmark = pytest.mark.slow

T = TypeVar("T")


def played(scene: Callable[[TeamsStage], Awaitable[T]], **options: object) -> T:
    """The scene on a stage of its own and an event loop of its own."""

    async def run() -> T:
        with stage_on(**options) as stage:  # pyright: ignore[reportArgumentType]
            try:
                return await scene(stage)
            finally:
                await stage.channel.close()

    return asyncio.run(run())


async def trouble_of(call: Awaitable[object]) -> ChannelTrouble:
    try:
        await call
    except ChannelTrouble as trouble:
        return trouble
    raise AssertionError("nothing was raised")


def test_a_text_is_a_message_activity_with_its_place() -> None:
    async def scene(stage: TeamsStage) -> None:
        ref = await stage.channel.send(stage.address, Text("**Hello** <b>"), key="k1")
        [call] = stage.connector.calls
        assert call.method == "POST" and call.conversation == CONVERSATION
        assert call.body == {
            "type": "message",
            "text": "**Hello** &lt;b&gt;",
            "textFormat": "markdown",
            "from": {"id": "28:00000000-0000-0000-0000-00000000c0de"},
            "conversation": {"id": CONVERSATION, "tenantId": TENANT},
        }
        assert "Authorization" not in call.headers
        [shown] = stage.connector.seen(CONVERSATION)
        assert ref == MessageRef(stage.address, shown.id)

    played(scene)


def test_a_question_is_an_adaptive_card_with_words_for_the_notification() -> None:
    async def scene(stage: TeamsStage) -> None:
        await stage.channel.send(stage.address, approval_card(), key="k1")
        [call] = stage.connector.calls
        [attachment] = call.body["attachments"]
        assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert attachment["content"]["type"] == "AdaptiveCard"
        assert call.body["summary"] == "Refund 19.80 EUR for order A-1201"
        assert "text" not in call.body

    played(scene)


def test_nobody_is_mentioned_whatever_is_written() -> None:
    async def scene(stage: TeamsStage) -> None:
        await stage.channel.send(stage.address, Text("<at>Lena</at> @Lena"), key="k1")
        [call] = stage.connector.calls
        assert "entities" not in call.body
        assert "<at>" not in call.body["text"]

    played(scene)


def test_an_update_is_a_put_under_the_messages_id() -> None:
    async def scene(stage: TeamsStage) -> None:
        ref = await stage.channel.send(stage.address, approval_card(), key="k1")
        await stage.channel.update(ref, Text("Decided."))
        _, put = stage.connector.calls
        assert (put.method, put.activity, put.body["id"]) == ("PUT", ref.id, ref.id)
        [shown] = stage.connector.seen(CONVERSATION)
        assert (shown.text, shown.cards, shown.replaced) == ("Decided.", [], 1)

    played(scene)


@pytest.mark.parametrize(
    "conversation",
    [
        "19:0a1b2c@thread.tacv2;messageid=1481567603816",
        "a:1_-xyz",
        "19:0a_1b@unq.gbl.spaces",
        "with a blank/and?more#of%it",
        "../../v3/attachments",
        "gr\u00fc\u00df",
    ],
)
def test_a_conversations_id_stays_whole_and_in_its_place(conversation: str) -> None:
    async def scene(stage: TeamsStage) -> None:
        to = address_in(stage.service_url, conversation, kind="channel")
        ref = await stage.channel.send(to, Text("Hello."), key="k1")
        await stage.channel.update(ref, Text("Again."))
        assert [call.conversation for call in stage.connector.calls] == [conversation] * 2
        assert stage.connector.texts(conversation) == ["Again."]

    played(scene)


@pytest.mark.parametrize("conversation", [".", ".."])
def test_an_id_that_leaves_its_place_in_the_path_is_sent_nowhere(conversation: str) -> None:
    async def scene(stage: TeamsStage) -> None:
        to = address_in(stage.service_url, conversation)
        trouble = await trouble_of(stage.channel.send(to, Text("Hello."), key="k1"))
        assert isinstance(trouble, Unreachable)
        ref = MessageRef(stage.address, conversation)
        assert isinstance(await trouble_of(stage.channel.update(ref, Text("x"))), Unreachable)
        assert stage.connector.calls == []

    played(scene)


def test_a_service_url_that_is_not_allowed_gets_nothing() -> None:
    async def scene(stage: TeamsStage) -> None:
        real = TeamsSettings(
            client_id="0f0e0d0c-0b0a-0908-0706-050403020100",
            client_secret="not-a-real-secret",
            tenant_id=TENANT,
        )
        channel = TeamsChannel(real)
        ref = MessageRef(stage.address, "1:1")
        for call in (
            channel.send(stage.address, Text("Hello."), key="k1"),
            channel.update(ref, Text("Hello.")),
        ):
            trouble = await trouble_of(call)
            assert isinstance(trouble, Unreachable)
            assert "SUPPORT_TEAMS_SERVICE_URLS" in str(trouble)
        await channel.typing(stage.address)
        await channel.grow(stage.address, "a1", "One two three ")
        await channel.close()
        assert stage.connector.calls == []

    played(scene)


@pytest.mark.parametrize("data", [{}, {"conversation": ""}, {"service_url": "http://127.0.0.1:1"}])
def test_an_address_without_a_conversation_is_unreachable(data: dict[str, str]) -> None:
    async def scene() -> ChannelTrouble:
        channel = TeamsChannel(LOCAL)
        try:
            return await trouble_of(channel.send(Address("teams", data), Text("x"), key="k"))
        finally:
            await channel.close()

    assert isinstance(asyncio.run(scene()), Unreachable)


TRY_AGAIN = [401, 408, 412, 429, 500, 502, 503, 504]
UNREACHABLE = [302, 400, 403, 404, 405, 409, 410, 413, 415, 422]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, TryAgain) for status in TRY_AGAIN]
    + [(status, Unreachable) for status in UNREACHABLE],
)
def test_each_status_is_for_later_or_for_never(status: int, kind: type[ChannelTrouble]) -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(status, code="SomeCode"))
        trouble = await trouble_of(stage.channel.send(stage.address, Text("Hi."), key="k1"))
        assert type(trouble) is kind
        assert f"HTTP {status}, SomeCode" in str(trouble)
        assert len(stage.connector.calls) == 1  # repeating is the caller's decision

    played(scene)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("1e9", 3600.0), ("inf", None), ("nan", None),
     ("soon", None), ("", None)],
)  # fmt: skip
def test_the_pause_is_what_teams_says_within_reason(given: str, seconds: float | None) -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(429, retry_after=given))
        trouble = await trouble_of(stage.channel.send(stage.address, Text("Hi."), key="k1"))
        assert isinstance(trouble, TryAgain)
        assert trouble.after == seconds

    played(scene)


def test_the_pause_may_be_a_date() -> None:
    async def scene(stage: TeamsStage) -> None:
        moment = format_datetime(now() + timedelta(minutes=30), usegmt=True)
        stage.connector.plan(Fault(503, retry_after=moment))
        trouble = await trouble_of(stage.channel.send(stage.address, Text("Hi."), key="k1"))
        assert isinstance(trouble, TryAgain)
        assert trouble.after is not None and 0 < trouble.after <= 1800

    played(scene)


def test_an_error_whose_code_is_prose_is_told_without_it() -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(400, code="Amina Diallo is not here"))
        trouble = await trouble_of(stage.channel.send(stage.address, Text("Hi."), key="k1"))
        assert "Amina" not in str(trouble)

    played(scene)


@pytest.mark.parametrize("how", ["no_id", "no_json"])
def test_what_was_taken_is_not_sent_again_because_its_answer_is_odd(how: str) -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(how=how))  # pyright: ignore[reportArgumentType]
        ref = await stage.channel.send(stage.address, Text("Once."), key="k1")
        assert ref.id == ""
        await stage.channel.send(stage.address, Text("Once."), key="k1")
        assert stage.connector.texts(CONVERSATION) == ["Once."]
        trouble = await trouble_of(stage.channel.update(ref, Text("New.")))
        assert isinstance(trouble, Unreachable)
        assert len(stage.connector.calls) == 1

    played(scene)


@pytest.mark.parametrize("how", ["no_id", "no_json"])
def test_an_update_that_was_taken_is_done_whatever_its_answer(how: str) -> None:
    async def scene(stage: TeamsStage) -> None:
        ref = await stage.channel.send(stage.address, Text("Old."), key="k1")
        stage.connector.plan(Fault(how=how))  # pyright: ignore[reportArgumentType]
        await stage.channel.update(ref, Text("New."))
        assert stage.connector.texts(CONVERSATION) == ["New."]

    played(scene)


@pytest.mark.parametrize("how", ["drop_after", "torn_after"])
def test_a_lost_answer_is_sent_a_second_time(how: str) -> None:
    """At least once: the connector has no key that would tell the attempts apart."""

    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(how=how))  # pyright: ignore[reportArgumentType]
        trouble = await trouble_of(stage.channel.send(stage.address, Text("Hi."), key="k1"))
        assert isinstance(trouble, TryAgain)
        await stage.channel.send(stage.address, Text("Hi."), key="k1")
        assert stage.connector.texts(CONVERSATION) == ["Hi.", "Hi."]

    played(scene)


def test_a_new_process_does_not_know_what_the_last_one_sent() -> None:
    async def scene(stage: TeamsStage) -> None:
        await stage.channel.send(stage.address, Text("Hi."), key="k1")
        restarted = TeamsChannel(LOCAL)
        await restarted.send(stage.address, Text("Hi."), key="k1")
        await restarted.close()
        assert stage.connector.texts(CONVERSATION) == ["Hi.", "Hi."]

    played(scene)


def test_the_same_key_in_two_conversations_is_two_messages() -> None:
    async def scene(stage: TeamsStage) -> None:
        other = address_in(stage.service_url, "a:other")
        await stage.channel.send(stage.address, Text("Hi."), key="k1")
        await stage.channel.send(other, Text("Hi."), key="k1")
        assert stage.connector.texts(CONVERSATION) == stage.connector.texts("a:other") == ["Hi."]

    played(scene)


def test_no_connector_at_all_is_tried_again() -> None:
    async def scene() -> ChannelTrouble:
        with stage_on() as stage:
            address = stage.address
        try:
            return await trouble_of(stage.channel.send(address, Text("Hi."), key="k1"))
        finally:
            await stage.channel.close()

    trouble = asyncio.run(scene())
    assert isinstance(trouble, TryAgain)
    assert "ConnectError" in str(trouble)


def test_a_sign_of_typing_is_a_typing_activity() -> None:
    async def scene(stage: TeamsStage) -> None:
        await stage.channel.typing(stage.address)
        [call] = stage.connector.calls
        assert call.body["type"] == "typing"
        assert "entities" not in call.body
        assert stage.connector.typings == {CONVERSATION: 1}

    played(scene)


def test_no_line_of_the_log_holds_words_or_conversations(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene(stage: TeamsStage) -> None:
        for trouble in ("limited", "broken", "cut off", "removed", "refused"):
            stage.fail(trouble)
            await trouble_of(stage.channel.send(stage.address, Text("For Amina."), key="k1"))
            stage.fail(trouble)
            await stage.channel.typing(stage.address)
        await stage.channel.send(stage.address, Text("For Amina."), key="k1")

    with caplog.at_level(logging.DEBUG):
        played(scene)
    assert "No sign of typing in Teams" in caplog.text
    for secret in ("Amina", CONVERSATION, "1nl3p6Aq", TENANT):
        assert secret not in caplog.text
