"""The agent's tests: a furnished shop, a conversation to have in it, and no model but our own."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic_ai import models

from apps.support_agent.tests.agent.chat import Chat
from apps.support_agent.tests.agent.world import World, furnish
from support_agent.agent.build import build_agent
from support_agent.agent.offline import offline_model
from support_agent.shop.database import DATABASE_VARIABLE, open_database, shop_database


@pytest.fixture(autouse=True)
def no_model_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing asks a real model; the tests of the OpenAI path allow it, to a server on loopback."""
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", False)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    """A file to copy: to furnish a shop takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("furnished") / "shop.db"
    engine = open_database(f"sqlite:///{path}")
    world = furnish(engine)
    engine.dispose()  # the last connection leaves everything in the one file
    return path, world


@pytest.fixture
def world(
    furnished: tuple[Path, World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A shop of its own for each test, which is also the one that SUPPORT_DATABASE names."""
    path, world = furnished
    shutil.copy(path, tmp_path / "shop.db")
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{tmp_path / 'shop.db'}")
    engine = shop_database()
    yield replace(world, engine=engine)
    engine.dispose()
    open_database.cache_clear()


@pytest.fixture
def chat(world: World) -> Iterator[Chat]:
    """Amina, talking to the offline model."""
    chat = Chat(build_agent(offline_model()), world)
    yield chat
    assert world.refunds() == [], "The agent paid a refund, which it must have no way to do."
