"""Adjourn: a Python function that stops in the middle, for days, and goes on at the same line."""

from adjourn.authoring.context import Context, UpdateRequest
from adjourn.authoring.current import ActivityContext, activity_context, current_activity
from adjourn.authoring.functions import Activity, Orchestrator
from adjourn.authoring.task import Task
from adjourn.client.app import Adjourn
from adjourn.client.client import Client, Handle
from adjourn.errors import (
    ActivityFailedError,
    AdjournError,
    DeterminismError,
    InstanceExistsError,
    InstanceFailedError,
    InstanceFinishedError,
    InstanceNotFoundError,
    InstanceTerminatedError,
    InvalidPayloadError,
    NonRetryableError,
    SubOrchestrationFailedError,
    TaskFailedError,
    UpdateRefusedError,
    WrongStateError,
)
from adjourn.model.failure import FailureDetails
from adjourn.model.retry import RetryPolicy
from adjourn.model.state import HistoryEntry, InstanceState, Page
from adjourn.model.status import Status

__version__ = "0.1.0.dev0"

__all__ = [
    "Activity",
    "ActivityContext",
    "ActivityFailedError",
    "Adjourn",
    "AdjournError",
    "Client",
    "Context",
    "DeterminismError",
    "FailureDetails",
    "Handle",
    "HistoryEntry",
    "InstanceExistsError",
    "InstanceFailedError",
    "InstanceFinishedError",
    "InstanceNotFoundError",
    "InstanceState",
    "InstanceTerminatedError",
    "InvalidPayloadError",
    "NonRetryableError",
    "Orchestrator",
    "Page",
    "RetryPolicy",
    "Status",
    "SubOrchestrationFailedError",
    "Task",
    "TaskFailedError",
    "UpdateRefusedError",
    "UpdateRequest",
    "WrongStateError",
    "activity_context",
    "current_activity",
]
