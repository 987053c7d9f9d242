"""One site with sign-in for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from adjourn import Adjourn, Client
from tests.safety.doors import Broken, DoorSite


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorSite]:
    made = DoorSite(tmp_path_factory.mktemp("doors") / "cases.db")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DoorSite]:
    """A site over an engine of which nothing works: what reaches it is answered with 500."""
    client = Client(Adjourn(), cast("Any", Broken()))
    made = DoorSite(tmp_path_factory.mktemp("broken") / "cases.db", client=client)
    yield made
    made.stop()
