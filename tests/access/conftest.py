"""A folder for the tests of the gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.gated import Gated


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    made = Gated(tmp_path)
    yield made
    made.close()
