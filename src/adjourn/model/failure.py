"""What is kept of an exception: enough to explain it and to decide about a retry."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress

import msgspec

from adjourn.errors import NonRetryableError, TaskFailedError

TRACE_LIMIT = 8_000  # characters of stack trace kept in a history row
MESSAGE_LIMIT = 4_000
CHAIN_LIMIT = 8


class FailureDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A recorded failure, with Durable Task's fields."""

    type: str
    """`module.Class` of the exception."""
    message: str
    stack_trace: str = ""
    inner: FailureDetails | None = None
    non_retriable: bool = False
    properties: dict[str, str] = {}

    def is_caused_by(self, kind: type[BaseException] | str) -> bool:
        """Whether this failure or one that caused it is exactly of this class.

        A recorded failure knows names only, so subclasses do not match.
        """
        wanted = kind if isinstance(kind, str) else type_name(kind)
        link: FailureDetails | None = self
        while link is not None:
            if link.type == wanted or link.type.rpartition(".")[2] == wanted:
                return True
            link = link.inner
        return False


def type_name(kind: type[BaseException]) -> str:
    """`module.Class`; builtins without their module."""
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


_NOTED = "__adjourn_failure__"


def note(
    error: BaseException, *, non_retriable: bool = False, properties: dict[str, str] | None = None
) -> None:
    """What `describe` is to say of this exception besides what it can see."""
    with suppress(AttributeError, TypeError):  # an exception without room for it goes without
        setattr(error, _NOTED, (non_retriable, properties or {}))


Hide = Callable[[str], str]
"""A text without what must not be written down; `Redactor.text`."""


def _as_it_is(text: str) -> str:
    return text


def describe(error: BaseException, depth: int = 0, *, hide: Hide = _as_it_is) -> FailureDetails:
    """The record of an exception and of what caused it, each text through `hide`. Never raises.

    A failure is recorded once and is only read after that, so hiding something here changes no
    replay: the orchestrator meets the same words when it lives and when it is rebuilt.
    """
    inner: FailureDetails | None = None
    if isinstance(error, TaskFailedError) and isinstance(error.failure, FailureDetails):
        inner = _shortened(error.failure, CHAIN_LIMIT)
    elif depth < CHAIN_LIMIT:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        inner = None if cause is None else describe(cause, depth + 1, hide=hide)
    non_retriable, properties = _noted(error)
    return FailureDetails(
        type=type_name(type(error)),
        message=hide(_text_of(error))[:MESSAGE_LIMIT],
        stack_trace=hide(_trace_of(error))[-TRACE_LIMIT:] if depth == 0 else "",
        inner=inner,
        non_retriable=non_retriable or isinstance(error, NonRetryableError),
        properties={name: hide(value) for name, value in properties.items()},
    )


def _noted(error: BaseException) -> tuple[bool, dict[str, str]]:
    return getattr(error, _NOTED, None) or (False, dict[str, str]())


def _shortened(failure: FailureDetails, links: int) -> FailureDetails:
    """At most so many links: each generation of children adds one."""
    if failure.inner is None:
        return failure
    inner = _shortened(failure.inner, links - 1) if links > 1 else None
    return msgspec.structs.replace(failure, inner=inner)


def _text_of(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # a user's __str__ may itself be broken
        text = "(its message could not be read)"
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _trace_of(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error, chain=False))
    except Exception:  # same reason: formatting runs the user's __str__
        return ""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
