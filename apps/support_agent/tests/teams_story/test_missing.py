"""Without the extra the support agent starts, and says how to add Teams."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = "import sys; sys.modules['microsoft_teams'] = None; "
"""As where the extra was not installed: importing it fails."""
SECONDS = 60


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code],
        cwd=folder,
        env={**given, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )


@pytest.mark.slow
def test_it_starts_and_the_demonstration_says_how_to_add_teams(tmp_path: Path) -> None:
    code = (
        "from support_agent import site; from support_agent.channels.teams import playground; "
        "print(sorted(site.app.mounts), playground.HOW_TO_ADD)"
    )
    started = run(code, tmp_path, SUPPORT_DATABASE=f"sqlite:///{tmp_path}/shop.db")

    assert started.returncode == 0, started.stderr
    assert "['/chat', '/talks']" in started.stdout
    assert "pip install 'support-agent[teams]'" in started.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [["adjourn", "run", "support_agent.site:app"], ["serve", "--channel", "teams"]]
)
def test_asked_for_teams_it_refuses_and_names_the_next_move(
    tmp_path: Path, arguments: list[str]
) -> None:
    module = "adjourn" if arguments[0] == "adjourn" else "support_agent.serve"
    code = (
        f"sys.argv = {arguments!r}; import runpy; runpy.run_module({module!r}, run_name='__main__')"
    )
    refused = run(code, tmp_path, SUPPORT_TEAMS_LOCAL="1" if arguments[0] == "adjourn" else "")

    assert refused.returncode != 0
    assert "pip install 'support-agent[teams]'" in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr
