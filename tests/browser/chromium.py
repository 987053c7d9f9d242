"""The Chromium that the browser tests drive: found, or else installed.

`make test` runs this file. It prints one line when there is a browser, and fails with the next
move when none is to be had.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

VARIABLE = "ADJOURN_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ANSWER_SECONDS = 30
INSTALL_SECONDS = 900

NEXT_MOVE = f"""\
The browser tests need Chromium or Chrome, and there is none. Do one of these, then run make again:
  - install it with your system's packages, so that `chromium` or `google-chrome` is on PATH;
  - on Debian and Ubuntu, with its libraries: .venv/bin/playwright install --with-deps chromium
  - name the one you have: {VARIABLE}=path/to/chrome make test"""

Installers = Mapping[str, Sequence[Sequence[str]]]
PLAYWRIGHT: Installers = {
    "Playwright": [[sys.executable, "-m", "playwright", "install", "--no-shell", "chromium"]],
}
APT: Installers = {
    "apt-get": [
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "-y", "install", "--no-install-recommends", "chromium"],
    ],
}


class NoChromiumError(Exception):
    """There is no browser; the message says the next move."""


def find() -> Path | None:
    """The first browser that starts: the one named by the variable, on PATH, or Playwright's.

    Raises: NoChromiumError when the variable names one that does not start.
    """
    named = os.environ.get(VARIABLE)
    if named:
        if (path := shutil.which(named)) and version(Path(path)):
            return Path(path)
        raise NoChromiumError(f"{VARIABLE} names {named!r}, which is no browser that starts here.")
    return next((path for path in candidates() if version(path)), None)


def candidates() -> Iterator[Path]:
    for name in NAMES:
        if path := shutil.which(name):
            yield Path(path)
    # Asked last, and only when it must be: Playwright's driver takes half a second to answer.
    with sync_playwright() as playwright:
        installed = Path(playwright.chromium.executable_path)
    if installed.is_file():
        yield installed


def version(path: Path) -> str:
    """What it calls itself; empty when it does not start. Ubuntu's `chromium-browser` may be a
    script that only asks for a snap, and a downloaded one may lack libraries."""
    try:
        said = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()


def installers() -> Installers:
    """What may install one here, in the order to try: by each name the commands that it takes."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return {**PLAYWRIGHT, **APT} if root and shutil.which("apt-get") else PLAYWRIGHT


def install(ways: Installers, say: Callable[[str], None]) -> Path:
    """Try each way until a browser starts.

    Raises: NoChromiumError with what was tried.
    """
    tried = ["Tried:"]
    for name, commands in ways.items():
        say(f"No Chromium here: installing one with {name} (once) ...")
        failure = next((said for command in commands if (said := failure_of(command))), "")
        if not failure and (path := find()):
            return path
        tried.append(f"  - {name}: {failure or 'it was installed, and none starts'}")
    raise NoChromiumError("\n".join([NEXT_MOVE, *tried]))


def failure_of(command: Sequence[str]) -> str:
    """What it said of its failure; empty when it went well."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        ran = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if ran.returncode == 0:
        return ""
    words = (ran.stderr.strip() or ran.stdout.strip()).splitlines()
    errors = [line for line in words if line.startswith(("Error: ", "E: "))]
    return [f"exit code {ran.returncode}", *words, *errors][-1].strip()


def say(line: str) -> None:
    print(line, flush=True)  # before minutes of silence


def main(ways: Installers) -> int:
    try:
        path = find() or install(ways, say)
    except NoChromiumError as error:
        print(error, file=sys.stderr)
        return 1
    say(f"Browser tests drive {version(path)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(installers()))
