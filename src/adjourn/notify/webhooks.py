"""The notifier that calls endpoints, as Standard Webhooks says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import msgspec
from standardwebhooks.webhooks import Webhook

from adjourn.approvals.text import one_line
from adjourn.client.approvals import ApprovalView
from adjourn.errors import SettingsError
from adjourn.model import codec
from adjourn.notify.addresses import OutgoingRefusedError, read_place
from adjourn.notify.letters import TITLE_LIMIT, link_to
from adjourn.notify.outgoing import Outgoing, Reply, Resolve, UnreachableError, look_up
from adjourn.notify.port import Note, Planned, Said, Step, again, note_id
from adjourn.notify.settings import EventType, WebhookSettings, events_of
from adjourn.store.records import Records

_log = logging.getLogger("adjourn.notify")

SPACE = "webhooks"
AT_ONCE = 8  # requests under way to one endpoint
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600.0
GONE = 410

_MINUTE, _HOUR = 60.0, 3600.0
PAUSES: Sequence[float] = (
    5.0, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR,
    24 * _HOUR,
)  # fmt: skip
"""Seconds after each attempt that failed; a bit more than three days in all."""

_TYPES: Mapping[str, EventType] = {
    "opened": "approval.opened",
    "reminded": "approval.reminded",
    "escalated": "approval.escalated",
    "reassigned": "approval.reassigned",
    "asked": "approval.asked",
    "answered": "approval.answered",
    "undone": "approval.undone",
}
_ENDS: Mapping[str, EventType] = {
    "approved": "approval.decided",
    "rejected": "approval.decided",
    "expired": "approval.expired",
    "cancelled": "approval.cancelled",
    "superseded": "approval.superseded",
}


class EndpointState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of an endpoint, in the records."""

    url: str
    """To which it applies: another one begins anew."""
    disabled_at: datetime | None = None
    """When it said that it is gone; nothing is sent there until somebody enables it."""
    worked_at: datetime | None = None
    """When it took something after trouble; None where it never had any."""
    trouble: str = ""
    trouble_at: datetime | None = None
    missed: int = 0
    """How many events it was not told of since it was disabled. A plan that a crash repeats
    counts them again."""


class UnknownEndpointError(SettingsError):
    """No `[[webhooks]]` has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(
            f"No [[webhooks]] is called {name!r}; there are {', '.join(known) or 'none'}."
        )


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One that is configured."""

    settings: WebhookSettings
    secrets: Sequence[bytes]
    outgoing: Outgoing
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


def endpoint_of(
    settings: WebhookSettings, secrets: Sequence[bytes], resolve: Resolve = look_up
) -> Endpoint:
    outgoing = Outgoing(
        hosts=settings.allowed_hosts,
        ports=settings.ports,
        allow_private=[read_place(each) for each in settings.allow_private],
        timeout_seconds=settings.timeout_seconds,
        ca_file=settings.ca_file,
        resolve=resolve,
    )
    return Endpoint(settings=settings, secrets=secrets, outgoing=outgoing)


class Webhooks:
    """Signed requests to endpoints: the same id and body at every attempt, at least once."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        public_url: str,
        records: Records,
        now: Callable[[], datetime],
    ) -> None:
        self._endpoints = {each.settings.name: each for each in endpoints}
        self._public_url = public_url
        self._records = records
        self._now = now

    # Planning.

    async def plan(self, step: Step, view: ApprovalView) -> Sequence[Planned]:
        notes: list[Note] = []
        for kind in _types_of(step, view):
            data = self._data(view)
            for name, endpoint in self._endpoints.items():
                if kind not in events_of(endpoint.settings):
                    continue
                if await self._disabled(endpoint):
                    await self._miss(endpoint)
                    continue
                notes.append(
                    Note(
                        id=note_id(view.state.id, step.number, "webhook", kind, name),
                        channel="webhook",
                        to=name,
                        kind=kind,
                        at=step.at,
                        approval=view.state.id,
                        data=data,
                    )
                )
        return [Planned(note=note) for note in notes]

    def _data(self, view: ApprovalView) -> dict[str, object]:
        """The title and what it is about in our own words; nothing of the proposal."""
        request, state = view.request, view.state
        return {
            "id": state.id,
            "title": one_line(request.title, TITLE_LIMIT),
            "status": state.status,
            "version": state.version,
            "case": request.case,
            "requester": request.requester,
            "risk": request.risk,
            "due_at": _text(state.due_at),
            "expires_at": _text(state.expires_at),
            "decided_at": _text(state.decided_at),
            "decided_by": state.decided_by,
            "url": link_to(self._public_url, state.id),
        }

    # Sending.

    async def send(self, note: Note, attempt: int) -> Said:
        endpoint = self._endpoints.get(note.to)
        if endpoint is None:
            return Said(state="dropped", why=f"no [[webhooks]] is called {note.to!r} any more")
        if await self._disabled(endpoint):
            return again(PAUSES, attempt, note.id, "it is disabled; adjourn webhooks enable")
        body = bytes(codec.encode({"type": note.kind, "timestamp": note.at, "data": note.data}))
        async with endpoint.turns:
            said = await self._attempt(endpoint, note.id, body, attempt)
        if said.state == "given_up":
            _log.error("%s: %s was not told, and will not be: %s", note.id, note.to, said.why)
        return said

    async def _attempt(self, endpoint: Endpoint, id: str, body: bytes, attempt: int) -> Said:
        try:
            reply = await self.call(endpoint.settings.name, id, body)
        except (OutgoingRefusedError, UnreachableError) as error:
            await self._note_trouble(endpoint, str(error))
            return again(PAUSES, attempt, id, str(error))
        why = f"it answered {reply.status}"
        if 200 <= reply.status < 300:
            await self._note_success(endpoint)
            return Said(state="sent", why=why)
        if reply.status == GONE:
            await self._disable(endpoint)
            await self._miss(endpoint)
            return Said(state="given_up", why=f"{why}: it is gone, and disabled")
        await self._note_trouble(endpoint, why)
        return again(PAUSES, attempt, id, why, after=self._retry_after(reply))

    async def call(self, name: str, id: str, body: bytes) -> Reply:
        """One signed request. Raises: UnknownEndpointError, OutgoingRefusedError,
        UnreachableError."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpointError(name, list(self._endpoints))
        headers = {"content-type": "application/json"} | sign(
            endpoint.secrets, id, self._now(), body
        )
        return await endpoint.outgoing.post(endpoint.settings.url, body, headers)

    def _retry_after(self, reply: Reply) -> float:
        """Seconds, as it asks for; 0 where it does not, or not so that we understand it."""
        asked = reply.headers.get("retry-after", "").strip()
        if asked.isascii() and asked.isdigit():
            seconds = float(asked[:9])
        else:
            try:
                seconds = (parsedate_to_datetime(asked) - self._now()).total_seconds()
            except (TypeError, ValueError):  # nothing, no date, or one without a time zone
                return 0.0
        return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)

    # What is remembered.

    async def states(self) -> dict[str, EndpointState]:
        """Of each endpoint, by name."""
        kept = await self._records.all(SPACE, EndpointState)
        return {
            name: _of_this(endpoint, kept.get(name)) for name, endpoint in self._endpoints.items()
        }

    async def enable(self, name: str) -> EndpointState:
        """How it stood. Raises: UnknownEndpointError."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise UnknownEndpointError(name, list(self._endpoints))
        was = await self._state(endpoint)
        await self._records.put(SPACE, name, EndpointState(url=endpoint.settings.url))
        return was

    async def _state(self, endpoint: Endpoint) -> EndpointState:
        found = await self._records.get(SPACE, endpoint.settings.name, EndpointState)
        return _of_this(endpoint, found)

    async def _disabled(self, endpoint: Endpoint) -> bool:
        return (await self._state(endpoint)).disabled_at is not None

    async def _miss(self, endpoint: Endpoint) -> None:
        def change(found: EndpointState | None) -> EndpointState:
            state = _of_this(endpoint, found)
            return msgspec.structs.replace(state, missed=state.missed + 1)

        await self._records.change(SPACE, endpoint.settings.name, EndpointState, change)

    async def _disable(self, endpoint: Endpoint) -> None:
        _log.error("%s answered 410: it is disabled", endpoint.settings.name)
        at, why = self._now(), f"it answered {GONE}"
        await self._keep(endpoint, disabled_at=at, trouble=why, trouble_at=at)

    async def _note_trouble(self, endpoint: Endpoint, why: str) -> None:
        await self._keep(endpoint, trouble=why, trouble_at=self._now())

    async def _note_success(self, endpoint: Endpoint) -> None:
        """Written only where something else stood: what works costs no write."""
        if (await self._state(endpoint)).trouble:
            await self._keep(endpoint, trouble="", trouble_at=None, worked_at=self._now())

    async def _keep(self, endpoint: Endpoint, **fields: object) -> None:
        def change(found: EndpointState | None) -> EndpointState:
            return msgspec.structs.replace(_of_this(endpoint, found), **fields)

        await self._records.change(SPACE, endpoint.settings.name, EndpointState, change)


def sign(secrets: Sequence[bytes], id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks, signed with each secret."""
    text = body.decode()
    signatures = [Webhook(secret).sign(id, at.astimezone(UTC), text) for secret in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def _types_of(step: Step, view: ApprovalView) -> list[EventType]:
    found: list[EventType] = [
        _TYPES[word] for word in dict.fromkeys(step.notice.what) if word in _TYPES
    ]
    if step.notice.final and view.state.status in _ENDS:
        found.append(_ENDS[view.state.status])
    return found


def _of_this(endpoint: Endpoint, found: EndpointState | None) -> EndpointState:
    url = endpoint.settings.url
    return found if found is not None and found.url == url else EndpointState(url=url)


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
