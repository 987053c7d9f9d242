"""Names of steps are stored data: instances wait under them, also while Pydantic AI is upgraded."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest
from pydantic_ai import Agent, FunctionToolset
from pydantic_ai.durable_exec import (
    CapabilityOperationId,
    DurableOperationId,
    EventStreamHandlerId,
    ModelCancelSuspendedResponseId,
    ModelCompactMessagesId,
    ModelRequestId,
    ToolsetCallToolId,
    ToolsetGetInstructionsId,
    ToolsetGetToolsId,
    ToolsetValidateToolArgumentsId,
)

from adjourn import Adjourn, Context
from adjourn.agents import Durable
from adjourn.testing import Sandbox
from tests.agents.scripts import agent_of, call, scripted, steps_of, told

NAMES: dict[DurableOperationId, str] = {
    ModelRequestId(None, model_name="m"): "support__model.request",
    ModelRequestId("spare", model_name="m"): "support__model.request.spare",
    ModelRequestId(None, streaming=True, model_name="m"): "support__model.request_stream",
    ModelCompactMessagesId(None, model_name="m"): "support__model.compact_messages",
    ModelCancelSuspendedResponseId(
        None, model_name="m"
    ): "support__model.cancel_suspended_response",
    EventStreamHandlerId(): "support__event_stream_handler",
    ToolsetCallToolId("function", toolset_id="t"): "support__function_toolset__t.call_tool:f",
    ToolsetValidateToolArgumentsId(
        "function", toolset_id="t"
    ): "support__function_toolset__t.validate_args",
    ToolsetGetToolsId("dynamic", toolset_id="t"): "support__dynamic_toolset__t.get_tools",
    ToolsetCallToolId("dynamic", toolset_id="t"): "support__dynamic_toolset__t.call_tool:f",
    ToolsetValidateToolArgumentsId(
        "dynamic", toolset_id="t"
    ): "support__dynamic_toolset__t.validate_args",
    ToolsetGetToolsId("mcp", toolset_id="t"): "support__mcp_server__t.get_tools",
    ToolsetGetInstructionsId(toolset_id="t"): "support__mcp_server__t.get_instructions",
    ToolsetCallToolId("mcp", toolset_id="t"): "support__mcp_server__t.call_tool",
    CapabilityOperationId("c", operation="o"): "support__capability__c.o",
}


def test_every_kind_of_step_has_its_pinned_name() -> None:
    agent = agent_of(Adjourn(), "hello")
    durable = Durable.from_agent(agent)
    assert durable is not None
    namer: Any = durable.get_durable_operation_backend()._namer  # pyright: ignore[reportPrivateUsage]  # what it writes is stored

    named = {id: namer.invocation_name(id, label="f").operation_name for id in NAMES}

    assert named == NAMES
    assert {type(id) for id in NAMES} == set(get_args(DurableOperationId)), (
        "Pydantic AI has a new kind of step: look at what it does, and pin its name."
    )


def test_the_steps_of_an_agent_with_all_that_can_be_tested_without_a_network() -> None:
    app = Adjourn()
    tools: FunctionToolset[None] = FunctionToolset(id="shop")

    def enough(ctx: Any, amount: int) -> None: ...

    @tools.tool_plain(args_validator=enough)
    def pay(amount: int) -> str:
        return f"paid {amount}"

    agent: Agent[None, str] = Agent(
        scripted([call("pay", amount=1)], told),
        name="support",
        toolsets=[tools],
        capabilities=[Durable(app, name="desk")],
    )

    @app.orchestrator
    async def answer(ctx: Context) -> str:
        return (await agent.run("hello")).output

    with Sandbox(app) as box:
        assert box.start(answer, id="c-1").result == "['paid 1']"
        assert steps_of(box, "c-1") == [
            "desk__model.request",
            "desk__function_toolset__shop.validate_args",
            "desk__function_toolset__shop.call_tool:pay",
            "desk__model.request",
        ]


# What a program without agents pays: nothing.

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pydantic_ai", "pydantic", "pydantic_core"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import adjourn
import adjourn.testing
assert not [name for name in sys.modules if name.startswith("pydantic")]
try:
    import adjourn.agents
except ImportError as error:
    print(error)
"""


@pytest.mark.slow
def test_without_pydantic_ai_all_but_agents_works_and_agents_say_what_is_missing() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60
    )

    said = "Durable agents need a part that is not installed (pydantic_ai): "
    assert run.stdout.strip() == said + "pip install 'adjourn[agents]'"


@pytest.mark.slow
def test_importing_adjourn_does_not_import_pydantic_ai() -> None:
    program = "import adjourn, sys; print('pydantic_ai' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert run.stdout.strip() == "False"
