"""An agent proposes a refund and the process goes away; a person decides days later, and exactly
that is paid. The model is asked twice in all: what it said is in the journal."""

from dataclasses import dataclass

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from adjourn import Adjourn, Approved, Bounds, Context, group
from adjourn.agents import Durable
from adjourn.testing import Sandbox

app = Adjourn()


@dataclass
class Refund:
    order: str
    amount: int


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Stands in for a real one: looks the order up, then proposes."""
    print(f"the model is asked: {len(messages)} messages")
    if len(messages) == 1:
        return ModelResponse(parts=[ToolCallPart("look_up", {"order": "A-1042"})])
    proposal = {"order": "A-1042", "amount": 600}
    return ModelResponse(parts=[ToolCallPart(info.output_tools[0].name, proposal)])


async def look_up(order: str) -> str:
    print(f"{order} is looked up")
    return f"{order}: paid 600 twice"


agent = Agent(
    FunctionModel(model),  # or "openai:gpt-4o"
    name="support",
    output_type=Refund,
    tools=[look_up],
    capabilities=[Durable(app)],
)


@app.activity(requires_approval=True)
async def pay(refund: Refund) -> str:
    return f"paid {refund.amount} for {refund.order}"


@app.orchestrator
async def support(ctx: Context, message: str) -> str:
    proposal = (await agent.run(message)).output  # the model only proposes
    decision = await ctx.approval(
        proposal,
        title=f"Refund {proposal.amount} for {proposal.order}",
        to=group("finance"),
        editable={"amount": Bounds(minimum="1", maximum="600")},
        expires="7d",
        undo="0s",
    )
    return await ctx.execute(decision, pay) if isinstance(decision, Approved) else "not paid"


def main() -> None:
    with Sandbox(app) as box:
        run = box.start(support, "I was charged twice!", id="C-1")
        box.crash()  # what kill -9 leaves
        box.advance(days=3)
        print("killed, started again, three days later")
        box.inbox("finance").one().approve(by="lena", amount=550)
        print(run.result)


if __name__ == "__main__":
    main()

# Output:
# the model is asked: 1 messages
# A-1042 is looked up
# the model is asked: 3 messages
# killed, started again, three days later
# paid 550 for A-1042
