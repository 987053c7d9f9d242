"""No test here asks a model on the network."""

from collections.abc import Iterator

import pytest
from pydantic_ai import models

from tests.agents.scripts import ran


@pytest.fixture(autouse=True)
def no_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(models, "ALLOW_MODEL_REQUESTS", False)
    ran.clear()
    yield
