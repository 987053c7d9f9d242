"""`Durable`: a Pydantic AI agent whose runs survive in an orchestrator."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal, NoReturn, TypeVar, cast

from pydantic_ai._utils import disable_threads  # Temporal's engine uses it; no public name
from pydantic_ai.agent import EventStreamHandler
from pydantic_ai.capabilities import WrapRunHandler
from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    DurabilityEngineSpec,
    DurableOperationId,
    RoleBasedOperationConfig,
    conversation_id_from_run_id,
    replay_scope,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import AgentStreamEvent
from pydantic_ai.models import Model, ModelRequestContext
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import AgentDepsT, RunContext
from pydantic_ai.toolsets import ToolsetTool

from adjourn.agents.stamps import stamp, stamping
from adjourn.agents.steps import HostedSteps, StepOptions, checked, new_run_id
from adjourn.authoring.registry import Registry
from adjourn.errors import NonRetryableError
from adjourn.model.retry import RetryPolicy
from adjourn.replay.hosted import current_execution

_log = logging.getLogger("adjourn.agents")

DepsT = TypeVar("DepsT")


class Durable(BaseDurabilityCapability[AgentDepsT]):
    """Makes every model request and every tool call of an agent an activity of the instance in
    whose orchestrator it runs; what has finished is never asked for again.

    ```python
    agent = Agent(model, name="support", tools=[look_up], capabilities=[Durable(app)])

    @app.orchestrator
    async def answer(ctx: Context, question: str) -> str:
        return (await agent.run(question)).output
    ```

    Outside an orchestrator the agent is an ordinary one. A step that a crash interrupted runs again
    (at least once), with the same `current_activity().idempotency_key`. Activities are named after
    the agent and its tools (`support__model.request`), so do not rename those under a waiting
    instance; instructions, models and what a tool does may change.

    A tool is given copies of the run's usage and messages, and must leave `deps` as they are: what
    it changes there would be missing on replay. A tool with the metadata `{"adjourn": False}` is no
    activity but part of the orchestrator, and may use its context.
    """

    engine_spec: ClassVar[DurabilityEngineSpec] = DurabilityEngineSpec(
        engine_name="Adjourn",
        durable_unit_noun="activity",
        durable_unit_plural="activities",
        durable_container_noun="orchestrator",
        codec=JSON_CODEC,
        serialization_failure=lambda error: NonRetryableError(
            f"A step's result cannot be written as JSON: {error}"
        ),
        # Steps run on the application's loop, the run on the orchestrator's: what a step opens, it
        # closes; nothing that is open passes from one to the other.
        toolset_lifecycles={
            "function": "enter-always",
            "mcp": "enter-outside-durable",
            "dynamic": "enter-never",
        },
        unsupported_runtime_toolset_kinds=frozenset({"function", "mcp", "dynamic"}),
        tool_config_key="adjourn",
    )

    def __init__(
        self,
        app: Registry,
        *,
        retry: RetryPolicy | None = None,
        timeout: timedelta | None = None,
        tool_retry: RetryPolicy | None = None,
        tool_timeout: timedelta | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        tool_events: bool = True,
        models: Mapping[str, Model] | None = None,
        name: str | None = None,
    ) -> None:
        """`retry` and `timeout` are for model requests (a refusal that will not get better is not
        retried); `tool_retry` and `tool_timeout` for tools, unless a tool has its own: metadata
        `{"adjourn": {"retry": RetryPolicy(...), "timeout": timedelta(...)}}`.

        `event_stream_handler` is called in the activities, so it may do what it likes: with a
        model's answer while it streams, and, each in an activity of its own, with what happens to
        tools (`tool_events=False` leaves that out). After a crash it may be told again. It shows
        what happens and decides nothing: should it fail, that is logged, and the run goes on.

        `models` are further ones to choose from by key, `name` stands for the agent's in the names
        of activities.
        """
        handler = None if event_stream_handler is None else _harmless(event_stream_handler)
        super().__init__(models=models, event_stream_handler=handler, name=name)
        self._app = app
        self._tool_events = tool_events
        self._model_options = _options(retry, timeout)
        self._tool_options = _options(tool_retry, tool_timeout)

    # Where it runs.

    @property
    def in_durable_context(self) -> bool:
        return current_execution() is not None

    def get_default_run_id(self) -> str | None:
        execution = current_execution()
        return None if execution is None else new_run_id(execution)

    def get_default_conversation_id(self, run_id: str) -> str | None:
        return conversation_id_from_run_id(run_id) if self.in_durable_context else None

    def get_run_clock(self) -> Callable[[], datetime] | None:
        execution = current_execution()
        return None if execution is None else lambda: execution.now

    # Around a run.

    async def wrap_run(
        self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler
    ) -> AgentRunResult[Any]:
        execution = current_execution()
        if execution is None:
            return await handler()
        if execution.registry is not self._app:
            raise UserError(
                f"The agent {self.name!r} has Durable(app) of another app than the orchestrator "
                f"{execution.orchestrator.name!r}. Make both with the same one."
            )
        with disable_threads(), replay_scope(is_replaying=lambda: execution.replaying), stamping():
            result = await super().wrap_run(ctx, handler=handler)
            stamp(result.all_messages(), ctx.run_id, execution.now)
            return result

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        execution = current_execution()
        if execution is not None:
            stamp(request_context.messages, ctx.run_id, execution.now)
        return await super().before_model_request(ctx, request_context)

    def _realtime_uncalled_hooks(self) -> tuple[str, ...]:
        # before_model_request acts inside an orchestrator only, where no realtime session is.
        return self._realtime_uncalled_hooks_overriding(Durable)

    # Steps.

    def get_durable_operation_backend(self) -> HostedSteps:
        return HostedSteps(
            agent_name=self.name,
            default_model_id=self.default_model_id,
            config=RoleBasedOperationConfig[StepOptions](
                model=self._model_options,
                event=StepOptions(),
                capability=self._tool_options,
                tool=self._tool_options,
                resolve_tool=self._options_of_tool,
            ),
        )

    def _options_of_tool(
        self, _: DurableOperationId, tool: object | None, tool_name: str
    ) -> StepOptions | Literal[False]:
        resolve = self._build_resolve_tool_config(self._tool_options)
        found = resolve(cast("ToolsetTool[Any] | None", tool), tool_name)
        return False if found is False else checked(found, f"Tool {tool_name!r}")

    def _toolset_base_config(self, kind: Any) -> Any:
        return self._tool_options

    def _durable_run_context(self, ctx: RunContext[AgentDepsT]) -> RunContext[AgentDepsT]:
        """What a step's code may see of the run: copies, since what it did to the originals would
        not happen again on replay."""
        guarded = super()._durable_run_context(ctx)
        return replace(
            guarded,
            usage=copy(ctx.usage),
            messages=list(ctx.messages),
            _event_stream_buffer=_NoEvents(),
            _run_held_toolsets=None,
        )

    async def _dispatch_event_stream_event(
        self, ctx: RunContext[AgentDepsT], event: AgentStreamEvent
    ) -> None:
        if self._tool_events:
            await super()._dispatch_event_stream_event(ctx, event)


class _NoEvents(list[AgentStreamEvent]):
    """Where a step's code would put events into the run's stream."""

    def append(self, object: AgentStreamEvent, /) -> NoReturn:
        raise UserError(
            "ctx.emit() is not for an activity: the event would be missing on replay. Show what "
            "happens from the tool itself, or let it be part of the orchestrator by the metadata "
            '{"adjourn": False}.'
        )


def _options(retry: RetryPolicy | None, timeout: timedelta | None) -> StepOptions:
    options = StepOptions()
    if retry is not None:
        options["retry"] = retry
    if timeout is not None:
        options["timeout"] = timeout
    return options


def _harmless(handler: EventStreamHandler[DepsT]) -> EventStreamHandler[DepsT]:
    """As `handler`; its failure does not become that of the answer, which has been paid for."""

    async def watch(ctx: RunContext[DepsT], events: AsyncIterable[AgentStreamEvent]) -> None:
        source = _Source(events)
        try:
            await handler(ctx, source.events())
        except Exception:
            if source.failed:
                raise  # the model's stream broke, and the handler let that through
            _log.exception("The event handler of agent run %s failed", ctx.run_id)
        async for _ in source.events():
            pass

    return watch


class _Source:
    """A stream that remembers whether it was itself what failed."""

    def __init__(self, events: AsyncIterable[AgentStreamEvent]) -> None:
        self._events = aiter(events)
        self.failed = False

    async def events(self) -> AsyncIterator[AgentStreamEvent]:
        while True:
            try:
                event = await anext(self._events)
            except StopAsyncIteration:
                return
            except Exception:
                self.failed = True
                raise
            yield event
