"""One server for the tests of a module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.server.serving import Serving


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    made = Serving(tmp_path_factory.mktemp("served") / "cases.db")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.address, trust_env=False, timeout=10) as client:
        yield client
