"""An approval as people are shown it: without what the application hides.

What is decided by stays as it is: versions, digests, who may act.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from adjourn.approvals.audit import Audit, AuditEntry
from adjourn.approvals.state import State
from adjourn.model.approval import ApprovalRequest, Evidence
from adjourn.model.inbox import InboxRow
from adjourn.model.privacy import Redactor

T = TypeVar("T")


def shown_audit(audit: Audit, redactor: Redactor) -> Audit:
    """A field whose value is hidden cannot be edited here: nobody should change what they cannot
    see."""
    return Audit(
        request=_request(audit.request, redactor),
        state=_each(audit.state, State, redactor),
        entries=_each(audit.entries, list[AuditEntry], redactor),
    )


def _request(request: ApprovalRequest, redactor: Redactor) -> ApprovalRequest:
    recheck = request.recheck
    return replace(
        request,
        title=redactor.text(request.title),
        proposal=redactor.raw(request.proposal),
        evidence=_each(request.evidence, list[Evidence], redactor),
        editable={
            name: each for name, each in request.editable.items() if not redactor.hides(name)
        },
        recheck=None if recheck is None else replace(recheck, input=redactor.raw(recheck.input)),
    )


def shown_row(row: InboxRow, redactor: Redactor) -> InboxRow:
    """What the list shows: who and when as it is, the texts without secrets."""
    return replace(row, title=redactor.text(row.title), problem=redactor.text(row.problem))


def _each(value: T, kind: Any, redactor: Redactor) -> T:
    """The same in form, each field and text of it as the redactor leaves it."""
    return msgspec.convert(redactor.value(msgspec.to_builtins(value)), kind)
