"""How the tests come by a browser."""

import stat
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.chromium import VARIABLE, NoChromiumError, find, install, main, version

SAYS_ITS_VERSION = "#!/bin/sh\necho Chromium 1.2.3\n"
ASKS_FOR_A_SNAP = "#!/bin/sh\necho 'install the snap' >&2; exit 1\n"


def put(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH of a machine that has no browser."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "downloaded"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def test_the_first_one_on_the_path_that_starts_is_taken(bin: Path) -> None:
    put(bin, "chromium", ASKS_FOR_A_SNAP)
    chrome = put(bin, "google-chrome", SAYS_ITS_VERSION)

    assert find() == chrome
    assert version(chrome) == "Chromium 1.2.3"


def test_the_one_that_the_variable_names_goes_first(
    bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(bin, "chromium", SAYS_ITS_VERSION)
    mine = put(tmp_path / "mine", "chrome", SAYS_ITS_VERSION)
    monkeypatch.setenv(VARIABLE, str(mine))

    assert find() == mine


@pytest.mark.slow
def test_one_that_playwright_downloaded_is_taken_when_the_path_has_none(bin: Path) -> None:
    with sync_playwright() as playwright:
        expected = Path(playwright.chromium.executable_path)
    expected.parent.mkdir(parents=True)
    downloaded = put(expected.parent, expected.name, SAYS_ITS_VERSION)

    assert find() == downloaded
    assert downloaded.is_relative_to(bin.parent)  # and no real one was touched


@pytest.mark.parametrize("named", ["no-such-browser", "broken"])
def test_a_named_one_that_does_not_start_is_not_passed_over(
    bin: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    put(bin, "chromium", SAYS_ITS_VERSION)
    put(bin, "broken", ASKS_FOR_A_SNAP)
    monkeypatch.setenv(VARIABLE, named)

    with pytest.raises(NoChromiumError, match=f"{VARIABLE} names '{named}'"):
        find()


@pytest.mark.slow
def test_ways_to_install_are_tried_until_a_browser_starts(bin: Path) -> None:
    installed = put(bin.parent / "store", "chromium", SAYS_ITS_VERSION)
    move = f"import os; os.renames({str(installed)!r}, {str(bin / 'chromium')!r})"
    ways = {
        "broken": [[sys.executable, "-c", "raise SystemExit('Error: no network')"]],
        "idle": [[sys.executable, "-c", ""]],
        "working": [[sys.executable, "-c", move]],
        "unneeded": [["never-run"]],
    }
    said: list[str] = []

    assert find() is None
    assert install(ways, said.append) == bin / "chromium"
    assert [line.split(" with ")[1].split()[0] for line in said] == ["broken", "idle", "working"]


@pytest.mark.slow
def test_without_any_browser_the_next_move_is_said_with_what_was_tried(
    bin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = "import sys; print('Error: no network\\n  at line 1', file=sys.stderr); sys.exit(1)"
    ways = {"one": [[sys.executable, "-c", failing]], "two": [["not-there"]]}

    assert main(ways) == 1

    said = capsys.readouterr()
    assert f"{VARIABLE}=" in said.err and "playwright install --with-deps" in said.err
    assert "one: Error: no network" in said.err and "two: " in said.err
    assert said.out.count("\n") == 2
