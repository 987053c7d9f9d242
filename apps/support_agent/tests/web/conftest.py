"""One place for the tests of a module, with records of its own."""

from collections.abc import Iterator

import pytest

from apps.support_agent.tests.web.place import Place
from support_agent.shop.database import DATABASE_VARIABLE, open_database


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DATABASE_VARIABLE, f"sqlite:///{folder / 'shop.db'}")
        made = Place(folder / "engine.db")
        yield made
        made.stop()
        made.records.dispose()
    open_database.cache_clear()
