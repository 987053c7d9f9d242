"""A person takes a conversation over from the agent, writes to the customer, and hands it back."""

import asyncio
from dataclasses import dataclass

from adjourn import Adjourn, Context

app = Adjourn()


@dataclass
class Message:
    author: str
    text: str


@app.activity
async def answer_by_agent(text: str) -> str:
    return f"agent: I looked up {text!r} for you"


@app.activity
async def send(text: str) -> None:
    print(text)


@app.orchestrator
async def conversation(ctx: Context) -> str:
    """Messages always get through; who answers them depends on who holds the conversation."""
    holder = ""
    while True:
        said = await ctx.wait_for_external_event("Message", Message)
        match said:
            case Message(text="/take"):
                holder = said.author
                await ctx.call_activity(send, f"{holder} has joined")
            case Message(text="/hand-back"):
                holder = ""
                await ctx.call_activity(send, f"{said.author} has left")
            case Message(text="/close"):
                return "closed"
            case Message(author="customer") if not holder:
                reply = await ctx.call_activity(answer_by_agent, said.text)
                await ctx.call_activity(send, reply)
            case _:
                await ctx.call_activity(send, f"{said.author}: {said.text}")


async def main() -> None:
    async with app.open(":memory:") as client:
        run = await client.start(conversation, id="chat-1")
        for author, text in (
            ("customer", "order A-1042"),
            ("lena", "/take"),
            ("customer", "it is broken"),
            ("lena", "I am sorry, you get a new one."),
            ("lena", "/hand-back"),
            ("customer", "thanks"),
            ("customer", "/close"),
        ):
            await run.raise_event("Message", Message(author, text))
        print(await run.result())


if __name__ == "__main__":
    asyncio.run(main())

# Output:
# agent: I looked up 'order A-1042' for you
# lena has joined
# customer: it is broken
# lena: I am sorry, you get a new one.
# lena has left
# agent: I looked up 'thanks' for you
# closed
