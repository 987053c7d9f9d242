"""Answers that grow before the reader's eyes, in personal chats.

Teams streams by repeated typing activities that carry the text so far, and a message that ends the
stream and is the answer. Its rules (learn.microsoft.com, "Stream bot messages"): personal chats
only; one request a second; each text begins with the one before; over after two minutes.

The stream is for show. It is kept in memory only: after a crash the answer is simply a message, and
the stream that was open ends by Teams' own limit.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from support_agent.channels.port import ChannelTrouble, Unreachable
from support_agent.channels.teams.places import Place
from support_agent.channels.teams.sdk import Connector, MessageActivityInput, growing, grown
from support_agent.channels.teams.wording import settled

PACE_SECONDS = 1.5  # Teams allows one request a second and recommends some room
LIMIT_SECONDS = 120.0  # Teams' own; the last update is sent some time before it
LAST_UPDATE_SECONDS = 105.0
SHOW_SECONDS = 4.0  # the model's words wait for nobody longer than this
KEPT_SECONDS = 600.0
MOST_STREAMS = 1_000

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Stream:
    """One answer that grows in one conversation."""

    answer: str
    begun_at: float
    id: str = ""
    """Teams' own, which becomes the message's; empty until the first update was taken."""
    sequence: int = 0
    shown: str = ""
    shown_at: float | None = None
    growing: bool = True
    """False once no further update may be sent."""
    ended: bool = False
    """Whether a message took its place, or none can."""
    ends_by: str = ""
    """The key of the message that tried to; another one leaves it alone."""
    in_use: asyncio.Lock = field(default_factory=asyncio.Lock)

    def may_show(self, answer: str, moment: float) -> bool:
        if not self.growing or self.answer != answer or self.in_use.locked():
            return False
        return self.shown_at is None or moment - self.shown_at >= PACE_SECONDS


class Streams:
    """The streams of one channel, by conversation."""

    def __init__(self, connector: Connector, clock: Callable[[], float]) -> None:
        """`clock`: seconds that only go forward."""
        self._connector = connector
        self._clock = clock
        self._streams: dict[tuple[str, str], _Stream] = {}

    def is_open(self, place: Place) -> bool:
        """Whether the reader sees an answer growing now."""
        stream = self._streams.get(place.key)
        return stream is not None and bool(stream.id) and not stream.ended

    async def grow(self, place: Place, answer: str, text: str) -> None:
        """Show as much of the text as will not change, unless it is too soon. Raises nothing."""
        if not place.personal or not (drawn := settled(text)):
            return
        stream, moment = self._of(place, answer), self._clock()
        if stream is None or not stream.may_show(answer, moment):
            return
        if moment - stream.begun_at > LAST_UPDATE_SECONDS:
            stream.growing = False
        elif drawn != stream.shown and drawn.startswith(stream.shown):
            async with stream.in_use:
                await self._show(place, stream, drawn, moment)

    async def end(self, place: Place, final: MessageActivityInput, key: str) -> str | None:
        """Make the message the end of the conversation's stream. Its id; None where no stream is
        open, or Teams would not have it: then it is to be sent by itself. Raises TryAgain."""
        stream = self._streams.get(place.key)
        if stream is None:
            return None
        async with stream.in_use:
            stream.growing = False
            if stream.ended or stream.ends_by not in ("", key):
                return None
            stream.ends_by = key
            taken = bool(stream.id) and await self._ended(place, stream, final)
            stream.ended = True
            return stream.id if taken else None

    async def _show(self, place: Place, stream: _Stream, drawn: str, moment: float) -> None:
        taken = False
        try:
            activity = growing(drawn, stream.id, stream.sequence + 1)
            id = await self._connector.post(place, activity, within_seconds=SHOW_SECONDS)
            stream.id = stream.id or id
            taken = bool(stream.id)
        except ChannelTrouble as trouble:
            _log.info("An answer in Teams no longer grows: %s", trouble)
        finally:  # cancelled: whether Teams took it is not known, so the next number is not either
            stream.growing = stream.growing and taken
        stream.sequence, stream.shown, stream.shown_at = stream.sequence + 1, drawn, moment

    async def _ended(self, place: Place, stream: _Stream, final: MessageActivityInput) -> bool:
        """Whether the message took the stream's place: as its end, or, where Teams has ended the
        stream already (too long, stopped by its reader, ended by a lost request of ours), by
        replacing what was shown. Both may be repeated."""
        if self._clock() - stream.begun_at < LIMIT_SECONDS:
            try:
                await self._connector.post(place, grown(final, stream.id))
                return True
            except Unreachable as refusal:
                _log.info("Teams did not take the end of an answer that grew: %s", refusal)
        try:
            await self._connector.put(place, stream.id, final)
            return True
        except Unreachable as refusal:
            _log.info("An answer that grew could not be replaced: %s", refusal)
            return False

    def _of(self, place: Place, answer: str) -> _Stream | None:
        """The conversation's stream; a new one where another answer begins after its end."""
        stream, moment = self._streams.get(place.key), self._clock()
        if stream is not None and (not stream.ended or stream.answer == answer):
            return stream
        self._forget(moment)
        if len(self._streams) >= MOST_STREAMS:
            return None
        self._streams[place.key] = stream = _Stream(answer, begun_at=moment)
        return stream

    def _forget(self, moment: float) -> None:
        for key, stream in list(self._streams.items()):
            if moment - stream.begun_at > KEPT_SECONDS and not stream.in_use.locked():
                del self._streams[key]
