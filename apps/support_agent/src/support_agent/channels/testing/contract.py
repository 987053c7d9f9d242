"""What every channel must do: subclass `ChannelContract` in a test file, and pytest runs all of it.

```python
class TestMyChannel(ChannelContract):
    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Stage]:
        async with my_service() as service:
            yield MyStage(MyChannel(service.address), service)
```

What a test needs of pytest's own, such as `tmp_path`, a fixture with `autouse=True` in the subclass
puts into `self`.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol
from unittest import SkipTest

from support_agent.channels.port import (
    Address,
    ApprovalCard,
    CardField,
    Channel,
    ChannelTrouble,
    MessageRef,
    Text,
    TryAgain,
    Unreachable,
)
from support_agent.channels.testing.drawing import check_harmless, words_of
from support_agent.channels.testing.samples import (
    HOSTILE,
    MUST_NOT_BE_RAW,
    STRANGE,
    approval_card,
)

Trouble = Literal["limited", "busy", "broken", "cut off", "silent", "removed", "gone", "refused"]
"""What may happen to a request on its way: too many requests, with a number of seconds to wait;
told to try again; an error of the service; the connection breaks; no answer within the channel's
own time limit; we may not write there any more; it does not exist any more; refused as it is. In
each case nothing is done."""

LIMITED_SECONDS = 7.0
"""What the service says with "limited"."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as its reader's client draws it now."""

    html: str
    """As an element's content. Where the client draws no HTML, what would look the same."""


class Stage(Protocol):
    """A channel, somebody whom it reaches, and what they see."""

    @property
    def channel(self) -> Channel: ...

    @property
    def address(self) -> Address:
        """Of a conversation that only this reader reads. Its `data` hold nothing but ids."""
        ...

    def seen(self) -> list[Seen]:
        """What is there, oldest first, and nothing that is still growing."""
        ...

    def fail(self, trouble: Trouble) -> None:
        """The channel's next request ends so. Raises SkipTest where that cannot happen."""
        ...


def _played(
    test: Callable[[Any, Stage], Awaitable[None]],
) -> "Callable[[ChannelContract], None]":
    """The test on a stage of its own and an event loop of its own."""

    def run(self: "ChannelContract") -> None:
        async def played() -> None:
            async with self.opened() as stage:
                await test(self, stage)

        asyncio.run(played())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


class ChannelContract:
    """One test for each promise of `support_agent.channels.port.Channel`."""

    sends_once = True
    """Whether the channel tells attempts apart, so that a key that arrived is not sent again."""

    def opened(self) -> AbstractAsyncContextManager[Stage]:
        """A new channel and its reader, with nothing sent yet. Must be overridden."""
        raise NotImplementedError

    # Send.

    @_played
    async def test_what_is_sent_is_seen(self, stage: Stage) -> None:
        ref = await stage.channel.send(stage.address, Text("Your refund is on its way."), key="k1")
        assert ref.address == stage.address
        assert ref.address.channel == stage.channel.name
        assert [words_of(seen.html) for seen in stage.seen()] == ["Your refund is on its way."]

    @_played
    async def test_a_person_is_named(self, stage: Stage) -> None:
        text = Text("I am looking at it.", author="person", name="Lena <Fischer>")
        await stage.channel.send(stage.address, text, key="k1")
        [words] = [words_of(seen.html) for seen in stage.seen()]
        assert "Lena <Fischer>" in words
        assert "I am looking at it." in words

    @_played
    async def test_messages_are_seen_in_the_order_they_were_sent(self, stage: Stage) -> None:
        for number in range(1, 6):
            await stage.channel.send(stage.address, Text(f"Number {number}."), key=f"k{number}")
        assert [words_of(seen.html) for seen in stage.seen()] == [
            f"Number {n}." for n in range(1, 6)
        ]

    @_played
    async def test_many_tasks_may_send_at_once(self, stage: Stage) -> None:
        texts = [f"Number {number}." for number in range(1, 13)]
        sending = [
            stage.channel.send(stage.address, Text(text), key=f"key of {text}") for text in texts
        ]
        refs = await asyncio.gather(*sending)
        assert len({ref.id for ref in refs}) == len(texts)
        assert sorted(words_of(seen.html) for seen in stage.seen()) == sorted(texts)

    @_played
    async def test_a_key_that_arrived_is_not_sent_again(self, stage: Stage) -> None:
        if not self.sends_once:
            raise SkipTest("this channel sends at least once")
        first = await stage.channel.send(stage.address, Text("Once."), key="k1")
        second = await stage.channel.send(stage.address, Text("Once."), key="k1")
        assert first == second
        assert len(stage.seen()) == 1

    @_played
    async def test_two_keys_are_two_messages(self, stage: Stage) -> None:
        await stage.channel.send(stage.address, Text("Twice."), key="k1")
        await stage.channel.send(stage.address, Text("Twice."), key="k2")
        assert [words_of(seen.html) for seen in stage.seen()] == ["Twice.", "Twice."]

    @_played
    async def test_an_address_of_another_channel_is_unreachable(self, stage: Stage) -> None:
        elsewhere = replace(stage.address, channel="some other channel")
        await _raised(stage, Unreachable, stage.channel.send(elsewhere, Text("Hello."), key="k1"))
        assert stage.seen() == []

    # Text.

    @_played
    async def test_the_agents_simple_markdown_is_drawn(self, stage: Stage) -> None:
        text = "Two things:\n\n- **first** this\n- then [our page](https://example.com/help)"
        await stage.channel.send(stage.address, Text(text), key="k1")
        [seen] = stage.seen()
        words = words_of(seen.html)
        assert all(part in words for part in ("Two things:", "first", "this", "our page"))
        assert "https://example.com/help" in seen.html

    @_played
    async def test_text_is_never_html(self, stage: Stage) -> None:
        for number, text in enumerate(HOSTILE):
            await stage.channel.send(stage.address, Text(text), key=f"k{number}")
        for seen, text in zip(stage.seen(), HOSTILE, strict=True):
            check_harmless(seen.html, text)

    @_played
    async def test_a_persons_name_is_never_html(self, stage: Stage) -> None:
        for number, name in enumerate(HOSTILE):
            text = Text("Hello.", author="person", name=name)
            await stage.channel.send(stage.address, text, key=f"k{number}")
        for seen in stage.seen():
            check_harmless(seen.html, "")

    @_played
    async def test_every_character_arrives_or_is_shown_as_what_it_is(self, stage: Stage) -> None:
        for what, text in STRANGE.items():
            await stage.channel.send(stage.address, Text(text), key=what)
        drawn = [seen.html for seen in stage.seen()]
        assert len(drawn) == len(STRANGE)
        assert not any(one in MUST_NOT_BE_RAW for html in drawn for one in html)
        assert STRANGE["emoji"] in drawn[0]
        assert STRANGE["right to left"] in drawn[1]

    @_played
    async def test_a_long_text_arrives_whole_or_says_what_is_missing(self, stage: Stage) -> None:
        text = " ".join(f"word{number}" for number in range(1, 12_001))
        await stage.channel.send(stage.address, Text(text), key="k1")
        words = " ".join(words_of(seen.html) for seen in stage.seen())
        assert "word1 word2 word3" in words
        assert "word500 " in words
        assert "word12000" in words or "more characters" in words

    # Update.

    @_played
    async def test_an_update_takes_the_place_of_the_message(self, stage: Stage) -> None:
        await stage.channel.send(stage.address, Text("Before."), key="k1")
        ref = await stage.channel.send(stage.address, Text("Old."), key="k2")
        await stage.channel.send(stage.address, Text("After."), key="k3")
        await stage.channel.update(ref, Text("New."))
        assert [words_of(seen.html) for seen in stage.seen()] == ["Before.", "New.", "After."]

    @_played
    async def test_updating_twice_changes_nothing_more(self, stage: Stage) -> None:
        ref = await stage.channel.send(stage.address, Text("Old."), key="k1")
        await stage.channel.update(ref, Text("New."))
        once = stage.seen()
        await stage.channel.update(ref, Text("New."))
        assert stage.seen() == once

    @_played
    async def test_a_decided_question_is_replaced(self, stage: Stage) -> None:
        ref = await stage.channel.send(stage.address, approval_card(), key="k1")
        decided = approval_card(status="Approved by Lena Fischer", open=False, allowed=())
        await stage.channel.update(ref, decided)
        [words] = [words_of(seen.html) for seen in stage.seen()]
        assert "Approved by Lena Fischer" in words

    @_played
    async def test_a_message_that_does_not_exist_cannot_be_replaced(self, stage: Stage) -> None:
        ref = MessageRef(stage.address, "no-such-message")
        await _raised(stage, Unreachable, stage.channel.update(ref, Text("New.")))

    # Questions.

    @_played
    async def test_a_question_without_fields_to_change_is_seen(self, stage: Stage) -> None:
        await self._asked(stage, approval_card(editable=0))

    @_played
    async def test_a_question_with_five_fields_to_change_is_seen(self, stage: Stage) -> None:
        await self._asked(stage, approval_card(editable=5))

    @_played
    async def test_a_question_with_many_fields_is_seen(self, stage: Stage) -> None:
        await self._asked(stage, approval_card(editable=40))

    @_played
    async def test_a_questions_words_are_never_html(self, stage: Stage) -> None:
        for number, text in enumerate(HOSTILE):
            fields = (CardField("note", text, text), *approval_card(editable=2).fields)
            card = approval_card(title=text, status=text, fields=fields, trouble=text)
            card = replace(card, facts=((text, text),), said=((text, text),))
            await stage.channel.send(stage.address, card, key=f"k{number}")
        assert len(stage.seen()) == len(HOSTILE)
        for seen in stage.seen():
            check_harmless(seen.html, "")

    async def _asked(self, stage: Stage, card: ApprovalCard) -> None:
        ref = await stage.channel.send(stage.address, card, key="k1")
        assert ref.address == stage.address
        [words] = [words_of(seen.html) for seen in stage.seen()]
        assert card.title in words
        assert card.status in words
        assert "A-1201" in words

    # Typing, and answers that grow.

    @_played
    async def test_a_sign_of_typing_is_no_message(self, stage: Stage) -> None:
        await stage.channel.typing(stage.address)
        assert stage.seen() == []

    @_played
    async def test_an_answer_that_grew_is_seen_once(self, stage: Stage) -> None:
        whole = "Your order was delivered on Monday. Shall I ask for a refund?"
        for length in range(0, len(whole), 7):
            await stage.channel.grow(stage.address, "a1", whole[:length])
        ref = await stage.channel.send(stage.address, Text(whole), key="k1")
        assert [words_of(seen.html) for seen in stage.seen()] == [whole]
        await stage.channel.update(ref, Text("Corrected."))
        assert [words_of(seen.html) for seen in stage.seen()] == ["Corrected."]

    @_played
    async def test_an_answer_that_began_anew_is_seen_once(self, stage: Stage) -> None:
        await stage.channel.grow(stage.address, "a1", "Let me see what I can ")
        await stage.channel.grow(stage.address, "a2", "Of course. ")
        await stage.channel.send(stage.address, Text("Of course. Done."), key="k1")
        await stage.channel.grow(stage.address, "a2", "Of course. Done, and too late.")
        assert [words_of(seen.html) for seen in stage.seen()] == ["Of course. Done."]

    @_played
    async def test_nothing_that_is_only_for_show_raises(self, stage: Stage) -> None:
        nowhere = [replace(stage.address, channel="some other channel", data={})]
        nowhere += [replace(stage.address, data={})]
        for address in nowhere:
            await stage.channel.typing(address)
            await stage.channel.grow(address, "a1", "One two three ")
        for text in STRANGE.values():
            await stage.channel.grow(stage.address, text, f"{text} and ")
        for trouble in ("limited", "broken", "cut off", "removed", "gone", "refused"):
            stage.fail(trouble)
            await stage.channel.typing(stage.address)
            stage.fail(trouble)
            await stage.channel.grow(stage.address, f"answer {trouble}", "One two three ")

    @_played
    async def test_trouble_while_it_grows_does_not_touch_the_answer(self, stage: Stage) -> None:
        stage.fail("broken")
        await stage.channel.grow(stage.address, "a1", "One two three ")
        await stage.channel.grow(stage.address, "a1", "One two three four ")
        await stage.channel.send(stage.address, Text("One two three four five."), key="k1")
        assert [words_of(seen.html) for seen in stage.seen()][-1] == "One two three four five."

    # Trouble.

    @_played
    async def test_a_limit_says_how_long_to_wait(self, stage: Stage) -> None:
        stage.fail("limited")
        trouble = await _raised(stage, TryAgain, _sending(stage))
        assert isinstance(trouble, TryAgain)
        assert trouble.after == LIMITED_SECONDS
        await self._arrives_later(stage)

    @_played
    async def test_a_busy_service_is_tried_again(self, stage: Stage) -> None:
        await self._is_tried_again(stage, "busy")

    @_played
    async def test_an_error_of_the_service_is_tried_again(self, stage: Stage) -> None:
        await self._is_tried_again(stage, "broken")

    @_played
    async def test_a_broken_connection_is_tried_again(self, stage: Stage) -> None:
        await self._is_tried_again(stage, "cut off")

    @_played
    async def test_silence_is_tried_again(self, stage: Stage) -> None:
        await self._is_tried_again(stage, "silent")

    @_played
    async def test_where_we_were_removed_is_unreachable(self, stage: Stage) -> None:
        await self._is_unreachable(stage, "removed")

    @_played
    async def test_what_is_gone_is_unreachable(self, stage: Stage) -> None:
        await self._is_unreachable(stage, "gone")

    @_played
    async def test_what_is_refused_is_unreachable(self, stage: Stage) -> None:
        await self._is_unreachable(stage, "refused")

    async def _is_tried_again(self, stage: Stage, trouble: Trouble) -> None:
        stage.fail(trouble)
        await _raised(stage, TryAgain, _sending(stage))
        ref = await self._arrives_later(stage)
        stage.fail(trouble)
        await _raised(stage, TryAgain, stage.channel.update(ref, Text(SECRET)))
        await stage.channel.update(ref, Text("Replaced."))
        assert [words_of(seen.html) for seen in stage.seen()] == ["Replaced."]

    async def _is_unreachable(self, stage: Stage, trouble: Trouble) -> None:
        stage.fail(trouble)
        await _raised(stage, Unreachable, _sending(stage))
        ref = await self._arrives_later(stage)
        stage.fail(trouble)
        await _raised(stage, Unreachable, stage.channel.update(ref, Text(SECRET)))

    async def _arrives_later(self, stage: Stage) -> MessageRef:
        """The same attempt, repeated: nothing had been done."""
        ref = await _sending(stage)
        assert [words_of(seen.html) for seen in stage.seen()] == [SECRET]
        return ref


SECRET = "Only for the eyes of Amina."
LONG_ENOUGH = 12
"""Characters of an id that can stand in a traceback for no other reason."""


def _sending(stage: Stage) -> Awaitable[MessageRef]:
    return stage.channel.send(stage.address, Text(SECRET), key="the key")


async def _raised(
    stage: Stage, kind: type[ChannelTrouble], call: Awaitable[object]
) -> ChannelTrouble:
    """What was raised, with nothing in its text or its traceback that operators must not read."""
    try:
        await call
    except ChannelTrouble as trouble:
        assert type(trouble) is kind, f"{trouble!r} is no {kind.__name__}"
        assert str(trouble).strip(), "the trouble has no words"
        said = "".join(traceback.format_exception(trouble))
        ids = [value for value in stage.address.data.values() if len(value) >= LONG_ENOUGH]
        assert not any(secret in said for secret in ("Amina", *ids)), said
        return trouble
    raise AssertionError(f"{kind.__name__} was not raised.")
