"""Who the agent speaks with. It comes from the server, never from the model or the customer."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Deps:
    """What is known of one message before the model reads it; the same on every replay.

    `now` is the moment at which the message was taken, one moment for the whole of its answer. With
    the conversation's id, `message_id` tells it from every other message; without one, `now` does.
    """

    conversation_id: str
    customer_id: int
    customer_name: str
    now: datetime
    message_id: str = ""
