"""One house for the tests of a module, with records of its own; and records on both databases."""

from collections.abc import Iterator

import pytest

from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.shop.conftest import database, emptied, postgres, system
from support_agent.shop.database import DATABASE_VARIABLE, open_database

__all__ = ["database", "emptied", "postgres", "system"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATABASE_VARIABLE, f"sqlite:///{folder / 'shop.db'}")
        made = House(folder / "engine.db")
        yield made
        made.stop()
        made.records.dispose()
    open_database.cache_clear()


@pytest.fixture(autouse=True)
def _counted_anew(request: pytest.FixtureRequest) -> None:
    """All of a test's requests come from one address."""
    if "house" in request.fixturenames:
        door = request.getfixturevalue("house").door
        door.refusals = type(door.refusals)(1_000)
