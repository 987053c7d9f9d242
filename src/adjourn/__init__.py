"""Adjourn: a Python function that stops in the middle, for days, and goes on at the same line."""

from adjourn.approvals.fields import ProposalField
from adjourn.approvals.people import DEMO_PEOPLE, Authenticator, Person, addresses_of
from adjourn.authoring.approval import auto, group, rechecking, role
from adjourn.authoring.context import Context, Offer, UpdateRequest
from adjourn.authoring.current import ActivityContext, activity_context, current_activity
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.authoring.task import Task
from adjourn.client.app import Adjourn
from adjourn.client.approvals import ApprovalView
from adjourn.client.client import Client, Handle
from adjourn.errors import (
    ActivityFailedError,
    AdjournError,
    ApprovalRequiredError,
    DeterminismError,
    InstanceExistsError,
    InstanceFailedError,
    InstanceFinishedError,
    InstanceNotFoundError,
    InstanceTerminatedError,
    InvalidApprovalError,
    InvalidPayloadError,
    NonRetryableError,
    NotSignedInError,
    Refusal,
    RefusedKeyError,
    ScopeMissingError,
    SubOrchestrationFailedError,
    TaskFailedError,
    UpdateConflictError,
    UpdateForbiddenError,
    UpdateInvalidError,
    UpdateRefusedError,
    WrongStateError,
)
from adjourn.model.actor import Actor
from adjourn.model.approval import (
    AddComment,
    Answer,
    Approve,
    Approved,
    Bounds,
    Cancelled,
    Claim,
    Conversation,
    Decision,
    Document,
    Evidence,
    Expired,
    Facts,
    Line,
    Notice,
    Reject,
    Rejected,
    Superseded,
    Undo,
)
from adjourn.model.failure import FailureDetails
from adjourn.model.ids import watcher_id
from adjourn.model.inbox import InboxQuery, InboxRow
from adjourn.model.retry import RetryPolicy
from adjourn.model.state import HistoryEntry, InstanceState, Page
from adjourn.model.status import Status

__version__ = "0.1.0.dev0"

__all__ = [
    "DEMO_PEOPLE",
    "Activity",
    "ActivityContext",
    "ActivityFailedError",
    "Actor",
    "AddComment",
    "Adjourn",
    "AdjournError",
    "Answer",
    "ApprovalRequiredError",
    "ApprovalView",
    "Approve",
    "Approved",
    "Authenticator",
    "Bounds",
    "Cancelled",
    "Claim",
    "Client",
    "Context",
    "Conversation",
    "Decision",
    "DeterminismError",
    "Document",
    "Evidence",
    "Expired",
    "Facts",
    "FailureDetails",
    "Handle",
    "HistoryEntry",
    "InboxQuery",
    "InboxRow",
    "InstanceExistsError",
    "InstanceFailedError",
    "InstanceFinishedError",
    "InstanceNotFoundError",
    "InstanceState",
    "InstanceTerminatedError",
    "InvalidApprovalError",
    "InvalidPayloadError",
    "Line",
    "NonRetryableError",
    "NotSignedInError",
    "Notice",
    "Offer",
    "Orchestrator",
    "Page",
    "Person",
    "ProposalField",
    "Refusal",
    "RefusedKeyError",
    "Reject",
    "Rejected",
    "RetryPolicy",
    "ScopeMissingError",
    "Status",
    "SubOrchestrationFailedError",
    "Superseded",
    "Task",
    "TaskFailedError",
    "Undo",
    "UpdateConflictError",
    "UpdateForbiddenError",
    "UpdateInvalidError",
    "UpdateRefusedError",
    "UpdateRequest",
    "WrongStateError",
    "activity_context",
    "addresses_of",
    "auto",
    "current_activity",
    "group",
    "rechecking",
    "role",
    "watcher_id",
]
