"""What people do with approvals: look at the inbox, look at one, act on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from copy import copy
from hashlib import sha256
from typing import Any, cast

import msgspec

from adjourn.approvals import audit, machine
from adjourn.approvals.audit import AuditEntry
from adjourn.approvals.authority import forbidden, no_decider
from adjourn.approvals.fields import ProposalField, changes_of, fields_of
from adjourn.approvals.state import State
from adjourn.backends.protocol import Backend, EventAnswer
from adjourn.backends.scoped import scoped
from adjourn.client.shown import check_seen, shown_audit, shown_row, told
from adjourn.engine.clock import Clock, SystemClock, new_id
from adjourn.errors import (
    InstanceFinishedError,
    InstanceNotFoundError,
    Refusal,
    UpdateConflictError,
    UpdateRefusedError,
)
from adjourn.model import codec
from adjourn.model.actor import Actor
from adjourn.model.approval import ACT, APPROVAL, Action, Answer, ApprovalRequest
from adjourn.model.ids import check_instance_id, check_name
from adjourn.model.inbox import Counts, InboxPage, InboxQuery, InboxRow
from adjourn.model.privacy import Redactor
from adjourn.model.state import InstanceState


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """All that one person is shown of one approval."""

    request: ApprovalRequest
    state: State
    row: InboxRow
    entries: list[AuditEntry]
    allowed: list[str]
    """The `do` words of the actions that this person may use now, on the value as it stands: who
    has voted for it may still approve another one."""
    parent_id: str | None = None

    @property
    def proposal(self) -> dict[str, Any]:
        """What was proposed, as JSON."""
        return _object(msgspec.json.decode(self.request.proposal))

    @property
    def value(self) -> dict[str, Any]:
        """The value as it stands: what an approval now would approve."""
        return _object(self.state.value) or self.proposal

    def fields(
        self, typed: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None
    ) -> list[ProposalField]:
        """The proposal as a form, drawn from its schema, in the order of its type. `typed` and
        `errors` are what a person sent and what was wrong with it, by the names of the fields."""
        request = self.request
        return fields_of(self._form, self.proposal, self.value, request.editable, typed, errors)

    def changes(self, typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        """What an `Approve` with this text of the fields changes, and what cannot be read, both by
        the names of the fields. Text that came back as `fields` gave it changes nothing, nor does
        a field that did not come, or may not be changed."""
        return changes_of(self._form, self.value, self.request.editable, typed)

    @property
    def _form(self) -> dict[str, Any]:
        return _object(msgspec.json.decode(self.request.form))


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


class Approvals:
    """The approvals of one client: `client.approvals`.

    What names a person (`by`) reaches what that person may see, whatever the client may: anything
    else is to it as what does not exist.
    """

    def __init__(
        self, backend: Backend, clock: Clock | None = None, *, redactor: Redactor | None = None
    ) -> None:
        """With a redactor what is read is for showing to people."""
        self._backend = backend
        self._clock = clock or SystemClock()
        self._redactor = redactor

    async def inbox(self, query: InboxQuery) -> InboxPage:
        """One page of what waits for people. Raises: InvalidIdError for a token that is none."""
        page = await self._backend.inbox(query)
        if self._redactor is None:
            return page
        rows = [shown_row(row, self._redactor) for row in page.rows]
        return InboxPage(rows=rows, next_token=page.next_token)

    async def counts(self, query: InboxQuery) -> Counts:
        """How many rows each view has under these filters, each at most COUNT_LIMIT."""
        return await self._backend.inbox_counts(query)

    def changes(self, tenant: str | None = None) -> AsyncIterator[list[str]]:
        """Ids of which the inbox shows something new, from now on, as they are committed; of this
        tenant only, or of all."""
        return self._backend.watch_inbox(tenant)

    async def row(self, id: str, /, *, by: Actor) -> InboxRow | None:
        """What the list shows of it, the plain form too; None when nothing of it waits, or ever
        waited, for people.

        Raises: InstanceNotFoundError, also when `by` may not view it.
        """
        backend = scoped(self._backend, by)
        found = await backend.get(check_instance_id(id))
        if found.name == APPROVAL:
            return (await self.get(id, by=by)).row
        if by.shown_queues is not None:
            raise InstanceNotFoundError(id)
        row = await backend.inbox_row(id)
        return row if row is None or self._redactor is None else shown_row(row, self._redactor)

    async def get(self, id: str, /, *, by: Actor) -> ApprovalView:
        """What `by` is shown of one approval.

        Raises: InstanceNotFoundError, also when `by` may not view it; HistoryDamagedError.
        """
        backend = scoped(self._backend, by)
        found, audited = await _audited(backend, id)
        if not machine.may_view(audited.request, audited.state, by):
            raise InstanceNotFoundError(id)
        row = await backend.inbox_row(id) or machine.row(audited.request, audited.state)
        now = self._clock.now()
        closed = found.status.finished or found.problem is not None
        allowed = [] if closed else machine.allowed(audited.request, audited.state, by, now)
        if self._redactor is not None:
            audited, row = shown_audit(audited, self._redactor), shown_row(row, self._redactor)
        return ApprovalView(
            request=audited.request,
            state=audited.state,
            row=row,
            entries=audited.entries,
            allowed=allowed,
            parent_id=found.parent_id,
        )

    async def act(
        self, id: str, action: Action, /, *, by: Actor, action_id: str | None = None
    ) -> Answer:
        """Do it, in `by`'s name, exactly once by `action_id`, which means this action of this
        person: the same word from somebody else is another action.

        Raises: InstanceNotFoundError, UpdateForbiddenError, UpdateConflictError,
        UpdateInvalidError, in this order of checks, and after all of them UpdateForbiddenError
        (`stale_sign_in`), so that whoever signs in again does so once; WrongStateError (suspended,
        quarantined); InvalidPayloadError where somebody sends back what stands for what they were
        not shown.
        """
        backend = scoped(self._backend, by)
        await _find(backend, id)  # else it would wait in some other workflow, and never be answered
        if by.shown_queues is not None:  # to whom not all is shown, a refusal would tell of it
            await self._check_shown(backend, id, by)
        if self._redactor is not None:
            check_seen(action)
        text = codec.encode(action, "The action")
        chosen = new_id() if action_id is None else check_name("an action id", action_id)
        if action_id is not None:
            chosen = sha256(f"{by.id}\0{action_id}\0".encode() + bytes(text)).hexdigest()
        try:
            answer = await backend.update(id, ACT, text, chosen, by=by)
        except InstanceFinishedError:
            raise self._told(await self._too_late(id, action, by, chosen)) from None
        except UpdateRefusedError as error:
            raise self._told(error) from None
        return msgspec.json.decode(answer, type=Answer)

    async def _check_shown(self, backend: Backend, id: str, by: Actor) -> None:
        _, audited = await _audited(backend, id)
        if not machine.may_view(audited.request, audited.state, by):
            raise InstanceNotFoundError(id)

    def _told(self, error: Exception) -> Exception:
        """What a refusal says of other people's changes, as they are shown."""
        if self._redactor is not None and isinstance(error, UpdateRefusedError):
            return told(error, self._redactor)
        return error

    async def _too_late(self, id: str, action: Action, by: Actor, action_id: str) -> Exception:
        """It has ended; who may know learns how, when and by whom."""
        _, audited = await _audited(scoped(self._backend, by), id)
        at = max(self._clock.now(), audited.state.opened_at)
        try:
            machine.check(audited.request, audited.state, action, by, at)
        except Refusal as refusal:
            return refusal.error(id, action_id)
        return UpdateConflictError(id, action_id, "This approval has ended; nothing changed.")

    async def decide_event(
        self,
        id: str,
        approved: bool,
        comment: str = "",
        /,
        *,
        by: Actor,
        version: int,
        event_id: str | None = None,
    ) -> EventAnswer:
        """Answer the plain form: raise the event "Approval" with `{"approved", "by", "comment"}`,
        to the very wait that the inbox showed as `version`.

        Raises: UpdateForbiddenError for who is no approver; UpdateConflictError when that wait is
        over; as `Client.raise_event`.
        """
        chosen = new_id() if event_id is None else check_name("an event id", event_id)
        rule = no_decider(by)
        if rule is not None:
            raise forbidden(rule).error(id, chosen)
        if version < 1:
            raise UpdateConflictError(id, chosen, "It waits for no answer now; nothing changed.")
        told = {"approved": approved, "by": by.id, "comment": comment}
        data = codec.encode(told, "The decision")
        return await scoped(self._backend, by).raise_event(
            check_instance_id(id), "Approval", data, chosen, wait=version, by=by
        )

    def through(self, backend: Backend, redactor: Redactor | None) -> Approvals:
        """The same, with the same clock, through another backend and redactor."""
        theirs = copy(self)
        theirs._backend, theirs._redactor = backend, redactor
        return theirs


async def _find(backend: Backend, id: str) -> InstanceState:
    found = await backend.get(check_instance_id(id))
    if found.name != APPROVAL:
        raise InstanceNotFoundError(id)
    return found


async def _audited(backend: Backend, id: str) -> tuple[InstanceState, audit.Audit]:
    found = await _find(backend, id)
    return found, audit.fold(await backend.history(id, None), id=id)
