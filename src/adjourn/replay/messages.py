"""External events and updates on their way into an orchestrator, and the answers to updates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from adjourn.authoring.context import Offer, UpdateRequest
from adjourn.errors import Refusal, RefusalKind
from adjourn.model import codec, commands
from adjourn.model.events import ExternalEventReceived, UpdateReceived
from adjourn.replay.tasks import WaitTask

Message = ExternalEventReceived | UpdateReceived
Key = tuple[str, str]

Answer = Callable[[commands.AcceptUpdate | commands.RefuseUpdate], None]


def key_of(message: Message) -> Key:
    """The buffer a message belongs to: its kind and casefolded name."""
    kind = "event" if isinstance(message, ExternalEventReceived) else "update"
    return kind, message.name.casefold()


class Request(UpdateRequest[Any]):
    """An update being handled: its answer becomes a command."""

    def __init__(self, answer: Answer, message: UpdateReceived, value: Any) -> None:
        self._answer = answer
        self.name = message.name
        self.update_id = message.update_id
        self.value = value
        self.by = message.by
        self.at = message.at

    def accept(self, result: Any = None) -> None:
        text = codec.encode(result, f"The answer to update {self.name!r}")
        self._answer(commands.AcceptUpdate(update_id=self.update_id, result=text))

    def refuse(
        self,
        reason: str,
        kind: RefusalKind = "refused",
        details: Mapping[str, Any] | None = None,
    ) -> None:
        text = codec.check_text("The reason", str(reason))
        self._answer(
            commands.RefuseUpdate(
                update_id=self.update_id,
                reason=text,
                refusal=kind,
                details=codec.encode(details, "The details of a refusal"),
            )
        )


def validate(wait: WaitTask, message: Message, value: Any) -> None:
    """Raises: Refusal, whatever the validator raises: the caller is to learn of it."""
    if wait.validator is None or not isinstance(message, UpdateReceived):
        return
    try:
        wait.validator(Offer(value, message.by, message.at))
    except Refusal:
        raise
    except Exception as error:
        raise Refusal(f"its validator failed: {type(error).__name__}: {error}") from error
