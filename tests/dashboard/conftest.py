"""One site for the tests of a module, and people at browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.dashboard.pages import Browser
from tests.dashboard.site import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site") / "cases.db")
    yield made
    made.stop()


@pytest.fixture
def at(site: Site) -> Callable[[str], Browser]:
    """`at("lena")`: Lena at a browser without scripts."""
    return site.visitor
