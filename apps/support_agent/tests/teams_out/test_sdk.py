"""Importing the SDK changes nothing around it; without it, the next move is said."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support_agent.channels.teams.missing import TeamsNotInstalled

SDK = "support_agent.channels.teams.sdk"


def run(code: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Below a folder with a `.env`, as the SDK looks for one."""
    (tmp_path / ".env").write_text("CLIENT_ID=from-dot-env\nSUPPORT_TEAMS_LOCAL=1\n")
    (tmp_path / "below").mkdir()
    return tmp_path / "below"


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, "0"])
def test_the_import_reads_no_dot_env_and_leaves_the_environment_as_it_was(
    folder: Path, before: str | None
) -> None:
    more = {} if before is None else {"PYTHON_DOTENV_DISABLED": before}
    code = f"import os; before = dict(os.environ); import {SDK}; assert os.environ == before"
    done = run(code, folder, **more)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_by_itself_the_sdk_does_read_it(folder: Path) -> None:
    """Or the test above would prove nothing."""
    code = (
        "import warnings; warnings.simplefilter('ignore')\n"
        "import os, microsoft_teams.apps; print(os.environ['CLIENT_ID'])"
    )
    assert run(code, folder).stdout.strip() == "from-dot-env"


@pytest.mark.slow
def test_without_the_extra_the_next_move_is_said(folder: Path) -> None:
    code = f"import sys; sys.modules['microsoft_teams'] = None; import {SDK}"
    done = run(code, folder)
    assert done.returncode == 1
    assert "TeamsNotInstalled" in done.stderr
    assert "pip install 'support-agent[teams]'" in done.stderr


def test_whoever_asks_whether_teams_is_there_gets_one_error_for_no() -> None:
    assert issubclass(TeamsNotInstalled, ImportError)
    assert "support-agent[teams]" in str(TeamsNotInstalled())


@pytest.mark.slow
def test_the_logs_of_the_http_client_stay_quiet_while_channels_are_made(folder: Path) -> None:
    """At INFO they hold the address of every conversation; the SDK sets their level itself."""
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG)\n"
        f"from {SDK} import Connector\n"
        "from support_agent.channels.teams.settings import TeamsSettings\n"
        "Connector(TeamsSettings(client_id='0f0e0d0c-0b0a-0908-0706-050403020100', local=True))\n"
        "assert not logging.getLogger('httpx').isEnabledFor(logging.INFO)"
    )
    done = run(code, folder)
    assert done.returncode == 0, done.stderr


def test_only_one_module_imports_the_sdk() -> None:
    source = Path(sys.modules["support_agent"].__path__[0])
    importers = [
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        if any(
            line.split()[:1] in (["import"], ["from"]) and "microsoft_teams" in line
            for line in path.read_text(encoding="utf-8").splitlines()
        )
    ]
    assert importers == ["channels/teams/sdk.py"]
