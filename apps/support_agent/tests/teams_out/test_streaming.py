"""Answers that grow in a personal chat: for show, and never in the answer's way."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from apps.support_agent.tests.teams_out.fake_connector import BROKEN, GONE, LIMITED, REMOVED, Fault
from apps.support_agent.tests.teams_out.stage import (
    CONVERSATION,
    LOCAL,
    TeamsStage,
    address_in,
    stage_on,
)
from support_agent.channels.port import Text, TryAgain
from support_agent.channels.teams.channel import TeamsChannel
from support_agent.channels.teams.streaming import (
    KEPT_SECONDS,
    LAST_UPDATE_SECONDS,
    MOST_STREAMS,
    PACE_SECONDS,
)
from support_agent.channels.testing import approval_card

pytestmark = pytest.mark.slow

WHOLE = "Your order was **delivered** on Monday. Shall I ask for a refund?"
WORDS = WHOLE.split(" ")


def played(scene: Callable[[TeamsStage], Awaitable[None]]) -> None:
    async def run() -> None:
        with stage_on() as stage:
            try:
                await scene(stage)
            finally:
                await stage.channel.close()

    asyncio.run(run())


def kinds(stage: TeamsStage) -> list[str]:
    return [call.kind for call in stage.connector.calls]


async def grown(stage: TeamsStage, answer: str = "a1", words: int = len(WORDS)) -> None:
    """So many words, one at a time, at Teams' pace."""
    for count in range(1, words + 1):
        await stage.channel.grow(stage.address, answer, " ".join(WORDS[:count]) + " ")
        stage.clock.now += PACE_SECONDS


def test_an_answer_grows_word_by_word_and_ends_as_one_message() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=5)
        [shown] = stage.connector.seen(CONVERSATION)
        assert shown.growing
        assert shown.growth == [
            "Your",
            "Your order",
            "Your order was",
            "Your order was **delivered**",
            "Your order was **delivered** on",
        ]
        ref = await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        [shown] = stage.connector.seen(CONVERSATION)
        assert (shown.text, shown.growing, ref.id) == (WHOLE, False, shown.id)
        assert kinds(stage) == ["stream"] * 5 + ["final"]

    played(scene)


def test_the_wire_is_what_teams_documents() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        first, second, final = (call.body for call in stage.connector.calls)
        [id] = [shown.id for shown in stage.connector.seen(CONVERSATION)]
        assert (first["type"], first["text"], first["textFormat"]) == ("typing", "Your", "markdown")
        assert first["entities"] == [
            {"type": "streaminfo", "streamType": "streaming", "streamSequence": 1}
        ]
        assert second["entities"] == [
            {"type": "streaminfo", "streamType": "streaming", "streamSequence": 2, "streamId": id}
        ]
        assert final["type"] == "message"
        assert final["entities"] == [{"type": "streaminfo", "streamType": "final", "streamId": id}]

    played(scene)


def test_updates_keep_to_teams_pace() -> None:
    async def scene(stage: TeamsStage) -> None:
        for count in range(1, len(WORDS) + 1):
            await stage.channel.grow(stage.address, "a1", " ".join(WORDS[:count]) + " ")
            stage.clock.now += PACE_SECONDS / 4
        growth = stage.connector.seen(CONVERSATION)[0].growth
        assert growth == ["Your", "Your order was **delivered** on", " ".join(WORDS[:9])]

    played(scene)


def test_nothing_is_sent_where_nothing_new_can_be_shown() -> None:
    async def scene(stage: TeamsStage) -> None:
        for text in ("", "Yo", "Your", "Your ", "Your or", "Your orde"):
            await stage.channel.grow(stage.address, "a1", text)
            stage.clock.now += PACE_SECONDS
        assert stage.connector.seen(CONVERSATION)[0].growth == ["Your"]

    played(scene)


@pytest.mark.parametrize("kind", ["groupChat", "channel", ""])
def test_only_personal_chats_show_growth(kind: str) -> None:
    async def scene(stage: TeamsStage) -> None:
        to = address_in(stage.service_url, CONVERSATION, kind)
        await stage.channel.grow(to, "a1", WHOLE)
        assert stage.connector.calls == []

    played(scene)


def test_another_answer_is_not_shown_while_the_first_stands_there() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, "a1", words=2)
        await grown(stage, "a2", words=4)
        assert stage.connector.seen(CONVERSATION)[0].growth == ["Your", "Your order"]
        await stage.channel.send(stage.address, Text("Another one altogether."), key="k1")
        # Teams takes no end that does not begin with what was shown: it was put in its place.
        assert kinds(stage) == ["stream", "stream", "final", "update"]
        assert stage.connector.texts(CONVERSATION) == ["Another one altogether."]

    played(scene)


def test_after_the_answer_the_next_one_grows_and_the_last_one_does_not() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, "a1", words=2)
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        await grown(stage, "a1", words=3)
        await grown(stage, "a2", words=1)
        assert [shown.growth for shown in stage.connector.seen(CONVERSATION)] == [
            ["Your", "Your order"],
            ["Your"],
        ]

    played(scene)


@pytest.mark.parametrize(
    "fault", [BROKEN, LIMITED, REMOVED, GONE, Fault(how="drop"), Fault(how="no_id")]
)
def test_trouble_at_the_first_word_ends_the_show_and_not_the_answer(fault: Fault) -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(fault)
        await grown(stage)
        assert kinds(stage) == ["stream"]
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert kinds(stage) == ["stream", "message"]
        assert stage.connector.texts(CONVERSATION)[-1] == WHOLE

    played(scene)


@pytest.mark.parametrize("fault", [BROKEN, LIMITED, Fault(how="drop"), Fault(how="drop_after")])
def test_trouble_in_the_middle_ends_the_show_and_the_answer_takes_its_place(fault: Fault) -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(None, fault)
        await grown(stage)
        assert kinds(stage) == ["stream", "stream"]
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert stage.connector.texts(CONVERSATION) == [WHOLE]

    played(scene)


def test_silence_in_the_middle_ends_the_show() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=1)
        stage.connector.plan(stage.silence())
        await grown(stage)
        assert kinds(stage) == ["stream", "stream"]
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert stage.connector.texts(CONVERSATION) == [WHOLE]

    played(scene)


def test_words_that_come_while_an_update_is_on_its_way_wait_for_the_next() -> None:
    async def scene(stage: TeamsStage) -> None:
        several = [stage.channel.grow(stage.address, "a1", " ".join(WORDS[:n])) for n in (2, 4, 6)]
        await asyncio.gather(*several)
        assert kinds(stage) == ["stream"]

    played(scene)


@pytest.mark.parametrize(
    "fault", [LIMITED, BROKEN, Fault(how="drop"), Fault(how="drop_after"), Fault(how="torn_after")]
)
def test_an_end_that_was_lost_is_repeated_without_a_second_message(fault: Fault) -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.connector.plan(fault)
        with pytest.raises(TryAgain):
            await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        ref = await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        [shown] = stage.connector.seen(CONVERSATION)
        assert (shown.id, shown.text) == (ref.id, WHOLE)

    played(scene)


def test_another_message_leaves_the_end_to_the_one_that_tried() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.connector.plan(Fault(how="drop_after"))
        with pytest.raises(TryAgain):
            await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        await stage.channel.send(stage.address, Text("News."), key="k2")
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert stage.connector.texts(CONVERSATION) == [WHOLE, "News."]

    played(scene)


def test_after_teams_two_minutes_the_answer_replaces_what_was_shown() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.clock.now += 200
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert kinds(stage) == ["stream", "stream", "update"]
        assert stage.connector.texts(CONVERSATION) == [WHOLE]

    played(scene)


def test_the_last_update_comes_before_teams_limit() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.clock.now += LAST_UPDATE_SECONDS
        await grown(stage)
        assert kinds(stage) == ["stream", "stream"]
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert stage.connector.texts(CONVERSATION) == [WHOLE]

    played(scene)


def test_a_reader_who_stops_it_still_gets_the_whole_answer() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.connector.stop_stream(CONVERSATION)
        await grown(stage, words=4)
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert stage.connector.texts(CONVERSATION) == [WHOLE]

    played(scene)


def test_where_neither_end_nor_replacement_is_taken_it_is_a_message() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        stage.connector.plan(Fault(403), Fault(400))
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert kinds(stage)[2:] == ["final", "update", "message"]
        assert stage.connector.texts(CONVERSATION)[-1] == WHOLE

    played(scene)


def test_after_a_crash_the_answer_is_a_message() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        restarted = TeamsChannel(LOCAL)
        await restarted.send(stage.address, Text(WHOLE), key="k1")
        await restarted.close()
        assert kinds(stage)[-1] == "message"
        assert stage.connector.texts(CONVERSATION) == ["Your order", WHOLE]

    played(scene)


def test_a_question_does_not_end_an_answer() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=2)
        await stage.channel.send(stage.address, approval_card(), key="k1")
        await stage.channel.send(stage.address, Text(WHOLE), key="k2")
        assert kinds(stage)[2:] == ["message", "final"]

    played(scene)


def test_no_sign_of_typing_while_an_answer_grows() -> None:
    async def scene(stage: TeamsStage) -> None:
        await grown(stage, words=1)
        await stage.channel.typing(stage.address)
        assert kinds(stage) == ["stream"]
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        await stage.channel.typing(stage.address)
        assert kinds(stage)[-1] == "typing"

    played(scene)


def test_a_cancelled_update_ends_the_show() -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(Fault(how="silence"))
        growing = asyncio.create_task(stage.channel.grow(stage.address, "a1", WHOLE))
        await asyncio.to_thread(stage.connector.wait_for_calls, 1)
        growing.cancel()
        await asyncio.gather(growing, return_exceptions=True)
        stage.clock.now += PACE_SECONDS
        await stage.channel.grow(stage.address, "a1", f"{WHOLE} And more. ")
        await stage.channel.send(stage.address, Text(WHOLE), key="k1")
        assert kinds(stage) == ["stream", "message"]

    played(scene)


@pytest.mark.slow
def test_streams_that_nobody_ended_are_forgotten() -> None:
    async def scene(stage: TeamsStage) -> None:
        stage.connector.plan(*[Fault(500)] * (MOST_STREAMS + 1))
        for number in range(MOST_STREAMS + 5):
            to = address_in(stage.service_url, f"a:{number}")
            await stage.channel.grow(to, "a1", WHOLE)
        assert len(stage.connector.calls) == MOST_STREAMS
        stage.clock.now += KEPT_SECONDS + 1
        await stage.channel.grow(stage.address, "a1", WHOLE)
        assert len(stage.connector.calls) == MOST_STREAMS + 1

    played(scene)
