"""One site with sign-in for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.safety.doors import DoorSite


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorSite]:
    made = DoorSite(tmp_path_factory.mktemp("doors") / "cases.db")
    yield made
    made.stop()
