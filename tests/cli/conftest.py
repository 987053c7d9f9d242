"""One server for the tests of a module, and the command line beside it, in this process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from adjourn.cli import main
from tests.server.serving import Serving

BASE = "/runtime/webhooks/durabletask"


@dataclass(frozen=True)
class Ran:
    """What one command printed, and how it ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    made = Serving(tmp_path_factory.mktemp("served") / "cases.db")
    yield made
    made.stop()


@pytest.fixture
def cli(
    serving: Serving, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Cli:
    monkeypatch.setenv("ADJOURN_AT", serving.address)
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Ran:
        code = main(arguments)
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def http(serving: Serving) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serving.address, trust_env=False, timeout=10) as client:
        yield client
