"""Microsoft Teams as a channel: what goes out, over the SDK's client of the connector.

The connector takes no idempotency key. What was sent while this process lives is remembered by its
key and not sent again; when the process ends between Teams' answer and the record of it, or when
Teams' answer is lost on its way, the next attempt sends a second time. At least once, then.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable

from support_agent.channels.port import (
    Address,
    ApprovalCard,
    ChannelName,
    ChannelTrouble,
    Message,
    MessageRef,
    Text,
    Unreachable,
)
from support_agent.channels.teams import sdk
from support_agent.channels.teams.cards import adaptive_card
from support_agent.channels.teams.places import CHANNEL, Place, place_of
from support_agent.channels.teams.settings import TeamsSettings
from support_agent.channels.teams.streaming import Streams
from support_agent.channels.teams.wording import markdown_of
from support_agent.clock import stopwatch_seconds
from support_agent.web.text import one_line

SHOW_SECONDS = 4.0  # for what may be lost
REMEMBERED = 2_000
"""Messages whose key is remembered."""

_log = logging.getLogger(__name__)


class TeamsChannel:
    """Implements `port.Channel`. Made on any thread, used on one event loop."""

    def __init__(
        self,
        settings: TeamsSettings,
        *,
        connector: sdk.Connector | None = None,
        clock: Callable[[], float] = stopwatch_seconds,
    ) -> None:
        """Opens no connection. `clock`: seconds that only go forward, for the pace of answers
        that grow."""
        self._settings = settings
        self._connector = connector or sdk.Connector(settings)
        self._streams = Streams(self._connector, clock)
        self._sent: OrderedDict[tuple[Place, str], str] = OrderedDict()

    @property
    def name(self) -> ChannelName:
        return CHANNEL

    async def send(self, to: Address, message: Message, *, key: str) -> MessageRef:
        """As the port says; a text that follows an answer which grows takes its place."""
        place = place_of(to, self._settings)
        id = self._sent.get((place, key))
        if id is None:
            id = await self._delivered(place, message, key)
            self._sent[place, key] = id
            if len(self._sent) > REMEMBERED:
                self._sent.popitem(last=False)
        return MessageRef(to, id)

    async def update(self, ref: MessageRef, message: Message) -> None:
        place = place_of(ref.address, self._settings)
        if not ref.id:
            raise Unreachable("Teams gave this message no id, so it cannot be replaced.")
        await self._connector.put(place, ref.id, _activity(message))

    async def typing(self, to: Address) -> None:
        try:
            place = place_of(to, self._settings)
            if not self._streams.is_open(place):  # the growing answer shows it already
                activity = sdk.typing()
                await self._connector.post(place, activity, within_seconds=SHOW_SECONDS)
        except ChannelTrouble as trouble:
            _log.info("No sign of typing in Teams: %s", trouble)

    async def grow(self, to: Address, answer: str, text: str) -> None:
        try:
            place = place_of(to, self._settings)
        except Unreachable:
            return  # the `send` of the whole answer says so
        await self._streams.grow(place, answer, text)

    async def close(self) -> None:
        """Close its connections. Nothing may be sent afterwards."""
        await self._connector.close()

    async def _delivered(self, place: Place, message: Message, key: str) -> str:
        activity = _activity(message)
        if isinstance(message, Text):
            id = await self._streams.end(place, activity, key)
            if id is not None:
                return id
        return await self._connector.post(place, activity)


def _activity(message: Message) -> sdk.MessageActivityInput:
    match message:
        case Text():
            return sdk.message(markdown_of(message))
        case ApprovalCard():
            return sdk.card_message(adaptive_card(message), summary=one_line(message.title))
