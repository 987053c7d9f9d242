"""Errors of an agent's steps: which are worth another attempt, and how they cross the journal.

An agent's own logic asks for the class of an error (a fallback model, a hook on model errors, a
handler that tells "too many requests" from "wrong key"), so errors of Pydantic AI come back as what
they were. All others reach the orchestrator as ActivityFailedError.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec
from pydantic import TypeAdapter
from pydantic_ai import exceptions
from pydantic_ai.durable_exec._utils import (  # the base class reads this mark; no public name
    mark_streamed_before_failing,
    streamed_before_failing,
)
from pydantic_ai.exceptions import (
    AgentRunError,
    ContentFilterError,
    ModelAPIError,
    ModelHTTPError,
    ModelQuotaExceededError,
    ModelRequestRejectedError,
    UnexpectedModelBehavior,
    UserError,
)
from pydantic_ai.messages import ModelResponse
from pydantic_core import to_jsonable_python

from adjourn.model.failure import FailureDetails, note

ERROR = "pydantic_ai.error"
STREAMED = "pydantic_ai.streamed"
"""What had been streamed before the error came."""

BODY_LIMIT = 16_000  # characters of what a provider sent with its refusal

_RETRIED_STATUSES = frozenset({408, 409, 425, 429})

_responses: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)


class _Carried(msgspec.Struct):
    """An error of Pydantic AI, as it stands in the journal."""

    name: str
    args: list[Any]
    state: dict[str, Any] | None = None
    category: str = ""
    """The class that an HTTP error belongs to besides, such as ModelRateLimitError."""


def carry(error: Exception) -> None:
    """Note on the error what the journal keeps of it."""
    properties: dict[str, str] = {}
    carried = _carried(error)
    if carried is not None and _made_again(carried) is not None:
        properties[ERROR] = msgspec.json.encode(carried).decode()
        streamed = streamed_before_failing(error)
        if streamed is not None:
            properties[STREAMED] = _responses.dump_json(streamed).decode()
    note(error, non_retriable=not worth_another_attempt(error), properties=properties)


def carried_over(failure: Any) -> Exception | None:
    """The error as it was raised; None for one that is not Pydantic AI's."""
    if not isinstance(failure, FailureDetails) or ERROR not in failure.properties:
        return None
    error = _made_again(msgspec.json.decode(failure.properties[ERROR], type=_Carried))
    if error is not None and STREAMED in failure.properties:
        streamed = _responses.validate_json(failure.properties[STREAMED])
        mark_streamed_before_failing(error, streamed)
    return error


def worth_another_attempt(error: Exception) -> bool:
    """Whether the same request may fare better later; the retry policy decides the rest."""
    match error:
        case ModelQuotaExceededError():
            return False
        case ModelHTTPError(provider_retry_hint=bool(hint)):
            return hint
        case ModelHTTPError(status_code=status):
            return status >= 500 or status in _RETRIED_STATUSES
        case ModelRequestRejectedError() | ContentFilterError():
            return False
        case ModelAPIError() | UnexpectedModelBehavior():
            return True  # no connection, overloaded, timed out; an answer that makes no sense
        case AgentRunError() | UserError():
            return False
        case _:
            return True


def _carried(error: Exception) -> _Carried | None:
    category = getattr(type(error), "category", None)
    if isinstance(error, ModelHTTPError) and isinstance(category, type):
        reduced = ModelHTTPError.__reduce__(error)
        name, beside = "ModelHTTPError", category.__name__
    else:
        reduced = error.__reduce__()
        name, beside = type(error).__name__, ""
        if getattr(exceptions, name, None) is not type(error):
            return None
    if not isinstance(reduced, tuple) or len(reduced) < 2:
        return None
    return _Carried(name, list(_plain(reduced[1])), _state(reduced), beside)


def _state(reduced: tuple[Any, ...]) -> dict[str, Any] | None:
    """What else the error knows, without what others attached to it on its way."""
    state = reduced[2] if len(reduced) > 2 else None
    if not isinstance(state, dict):
        return None
    kept = cast("dict[str, Any]", state)
    return {key: _plain(value) for key, value in kept.items() if not key.startswith("_")}


def _plain(value: Any) -> Any:
    """As JSON; what a provider sent may be anything, and long."""
    plain = to_jsonable_python(value, fallback=str, inf_nan_mode="strings")
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    if len(msgspec.json.encode(plain)) > BODY_LIMIT:
        return str(plain)[:BODY_LIMIT]
    return plain


def _made_again(carried: _Carried) -> Exception | None:
    try:
        if carried.category:
            category: Any = getattr(exceptions, carried.category)
            status, model, body = carried.args
            error: Any = ModelHTTPError.for_category(
                category, status_code=status, model_name=model, body=body
            )
        else:
            error = getattr(exceptions, carried.name)(*carried.args)
        if carried.state is not None:
            error.__setstate__(carried.state)
    except Exception:  # a class that is not made from what it says of itself
        return None
    return error if isinstance(error, Exception) else None
