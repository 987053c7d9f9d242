"""An agent's steps as activities that their orchestrator hosts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypedDict, TypeVar, cast
from weakref import WeakKeyDictionary

import msgspec
from pydantic_ai._utils import _disable_threads  # pyright: ignore[reportPrivateUsage]  # there is a public way off, and none back
from pydantic_ai.durable_exec import (
    BoundDurableOperation,
    DurableOperation,
    DurableOperationId,
    EventStreamHandlerId,
    JournalCallableOperationBackend,
    ModelRequestId,
    ResultCodec,
    ToolsetCallToolId,
    ToolsetValidateToolArgumentsId,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelResponse, ToolCallPart
from pydantic_ai.tools import RunContext

from adjourn.agents.failures import carried_over, carry
from adjourn.errors import ActivityFailedError, AdjournError
from adjourn.model.retry import RetryPolicy
from adjourn.replay.execution import Execution
from adjourn.replay.hosted import current_execution, open_hosted
from adjourn.replay.loop import DeterministicLoop

ParamsT = TypeVar("ParamsT")
WireT = TypeVar("WireT")
ResultT = TypeVar("ResultT")


_runs: WeakKeyDictionary[DeterministicLoop, int] = WeakKeyDictionary()


def new_run_id(execution: Execution) -> str:
    """An id for the next run of an agent in this execution: the same on every replay."""
    number = _runs.get(execution.loop, 0) + 1
    _runs[execution.loop] = number
    return f"{execution.instance_id}/{execution.number}/run-{number}"


class StepOptions(TypedDict, total=False):
    """How a step is tried again, and how long one attempt may take."""

    retry: RetryPolicy
    timeout: timedelta


def checked(options: Mapping[str, Any], whose: str) -> StepOptions:
    """Raises: UserError for what is not in StepOptions."""
    kinds: dict[str, type] = {"retry": RetryPolicy, "timeout": timedelta}
    for name, value in options.items():
        if name not in kinds or not isinstance(value, kinds[name]):
            raise UserError(
                f"{whose}: {name}={value!r} is no option of a step. Use retry=RetryPolicy(...) and "
                "timeout=timedelta(...)."
            )
    return cast("StepOptions", dict(options))


class HostedSteps(JournalCallableOperationBackend[StepOptions]):
    """Runs each operation of an agent as one activity of the current execution."""

    def bind(
        self, operation: DurableOperation[ParamsT, WireT, ResultT]
    ) -> BoundDurableOperation[ParamsT, WireT, ResultT]:
        name = self._namer.operation_name(operation.operation_id)
        return super().bind(
            replace(operation, result_codec=_Recorded(operation.result_codec, name))
        )

    async def execute(
        self,
        *,
        operation_id: DurableOperationId,
        name: str,
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],
        config: StepOptions,
    ) -> object:
        execution = current_execution()
        if execution is None:
            raise AdjournError(f"The step {name!r} was asked for outside its orchestrator.")
        options = checked(config, f"The step {name!r}")
        task = open_hosted(
            execution,
            name,
            _attempt(body),
            input=_shown(operation_id, cache_key),
            retry=options.get("retry"),
            timeout=options.get("timeout"),
        )
        try:
            return await task
        except ActivityFailedError as failed:
            error = carried_over(failed.failure)
            if error is None:
                raise
            raise error from failed


def _attempt(body: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[object]]:
    async def attempt() -> object:
        _disable_threads.set(False)  # here, outside the orchestrator, a sync tool may have one
        try:
            return await body()
        except Exception as error:
            carry(error)
            raise

    return attempt


def _shown(operation_id: DurableOperationId, cache_key: tuple[object, ...]) -> Any:
    """What the history tells of a step, and what is compared on replay: nothing that a new version
    of a prompt, a tool's types or Pydantic AI would change."""
    if isinstance(operation_id, EventStreamHandlerId):
        return {"event": getattr(cache_key[0], "event_kind", "")}
    context = _context_in(cache_key)
    if context is None:
        return None
    match operation_id:
        case ModelRequestId():
            return {"messages": len(context.messages)}
        case ToolsetCallToolId() | ToolsetValidateToolArgumentsId():
            return {"call": context.tool_call_id, "args": _arguments(context)}
        case _:
            return None


def _context_in(cache_key: tuple[object, ...]) -> RunContext[Any] | None:
    for part in cache_key:
        if isinstance(part, RunContext):
            return cast("RunContext[Any]", part)
    return None


def _arguments(context: RunContext[Any]) -> Any:
    """As the model wrote them: that is in the journal, and so the same on every replay."""
    for message in reversed(context.messages):
        if isinstance(message, ModelResponse):
            for part in message.parts:
                if isinstance(part, ToolCallPart) and part.tool_call_id == context.tool_call_id:
                    return _decoded(part.args)
    return None


def _decoded(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return arguments


class _Recorded(ResultCodec[ResultT]):
    """Reads a recorded result. One that cannot be read any more stops the instance: inside a tool
    call the error would read as bad arguments, and the model would have the effect repeated."""

    def __init__(self, codec: ResultCodec[ResultT], name: str) -> None:
        self._codec = codec
        self._name = name

    def dump(self, value: ResultT) -> object:
        return self._codec.dump(value)

    def load(self, payload: object) -> ResultT:
        try:
            return self._codec.load(payload)
        except Exception as error:  # pydantic's, or whatever a type of the user's raises
            execution = current_execution()
            if execution is None:
                raise
            execution.give_up(
                f"The recorded result of the agent's step {self._name!r} cannot be read: {error}. "
                "Likely cause: a type that it holds, or Pydantic AI itself, changed under a "
                "waiting instance. Nothing was repeated and nothing is lost. Put back code that "
                "can read it and restart."
            )
