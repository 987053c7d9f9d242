"""A conversation as a test has it: say something, get the answer, and what was done meanwhile."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ToolCallPart,
    ToolReturnPart,
)

from apps.support_agent.tests.agent.world import World
from support_agent.agent.answering import Answer, answer
from support_agent.agent.budget import BUDGET, NOTHING, Budget, Spent
from support_agent.agent.deps import Deps


class Chat:
    """Amina's conversation. Its history goes through JSON after each message, as it will later."""

    def __init__(self, agent: Agent[Deps, str], world: World, budget: Budget = BUDGET) -> None:
        self.agent = agent
        self.world = world
        self.budget = budget
        self.history: list[ModelMessage] = []
        self.answers: list[Answer] = []
        self.spent: Spent = NOTHING

    def say(self, text: str) -> str:
        """Send a message; the text of the answer."""
        return self.ask(text).text

    def ask(self, text: str, *, conversation: str = "c-1") -> Answer:
        given = asyncio.run(self._ask(text, conversation))
        self.history += ModelMessagesTypeAdapter.validate_json(
            ModelMessagesTypeAdapter.dump_json(list(given.messages))
        )
        self.spent = self.spent.and_also(given.cost.requests, given.cost.tokens)
        self.answers.append(given)
        return given

    async def _ask(self, text: str, conversation: str) -> Answer:
        deps = self.world.deps(conversation, minute=len(self.answers))
        async with self.agent:
            return await answer(
                self.agent, text, deps, self.history, spent=self.spent, budget=self.budget
            )

    @property
    def calls(self) -> list[ToolCallPart]:
        """The tool calls of the last answer."""
        return [
            part
            for message in self.answers[-1].messages
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ]

    @property
    def tools(self) -> list[str]:
        return [call.tool_name for call in self.calls]

    @property
    def results(self) -> list[Mapping[str, Any]]:
        """What the tools gave for the last answer."""
        return [
            part.content
            for message in self.answers[-1].messages
            for part in message.parts
            if isinstance(part, ToolReturnPart) and isinstance(part.content, Mapping)
        ]
