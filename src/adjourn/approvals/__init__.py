"""Approvals: one question about one exact proposal, waited for durably and decided once.

`ctx.approval` asks; what people do is sent with `client.approvals.act`.
"""

from adjourn.approvals.people import Authenticator, LocalPeople, Person, addresses_of
from adjourn.model.approval import (
    Action,
    AddComment,
    Answer,
    AnswerQuestion,
    Approve,
    Ask,
    Cancel,
    Claim,
    Reassign,
    Reject,
    Snooze,
    Unclaim,
    Undo,
)

__all__ = [
    "Action",
    "AddComment",
    "Answer",
    "AnswerQuestion",
    "Approve",
    "Ask",
    "Authenticator",
    "Cancel",
    "Claim",
    "LocalPeople",
    "Person",
    "Reassign",
    "Reject",
    "Snooze",
    "Unclaim",
    "Undo",
    "addresses_of",
]
