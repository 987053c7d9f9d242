"""The PostgreSQL that the records' tests run on beside SQLite: found, or else installed.

`make test` runs this file before the tests. It says what it found or did, and never fails: without
a PostgreSQL those tests are skipped, and the tests' summary says so. Each test session that wants
one starts a server of its own, on a socket in a temporary folder, and stops it again.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from support_agent.clock import stopwatch_seconds

DEBIAN = Path("/usr/lib/postgresql")
PROGRAMS = ("initdb", "postgres")
INSTALL: Sequence[Sequence[str]] = (
    ("apt-get", "-qq", "update"),
    ("apt-get", "-qq", "-y", "install", "--no-install-recommends", "postgresql"),
)
MISSING = (
    "PostgreSQL is not installed: the records were tested on SQLite only. "
    "On Debian and Ubuntu: apt-get install postgresql"
)
INSTALL_SECONDS = 600
START_SECONDS = 60
STOP_SECONDS = 30
USER = "adjourn"
# Nothing of these databases outlives the tests, so nothing has to reach the disk.
SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass
class Server:
    """A running PostgreSQL that holds one empty database after another."""

    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    def new_database(self) -> str:
        """The URL of a new database with nothing in it."""
        name = f"shop_{next(self.numbers)}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql+psycopg://{USER}@/{name}?host={self.folder}"

    def connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.folder), dbname=database, user=USER, autocommit=True, connect_timeout=10
        )


def find() -> Path | None:
    """The folder of its programs: the one on PATH, or the newest of Debian's."""
    named = shutil.which("initdb")
    folders = [Path(named).resolve().parent] if named else []
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((one for one in folders if all((one / name).exists() for name in PROGRAMS)), None)


@contextmanager
def serve(programs: Path) -> Generator[Server]:
    """A server for the time of the block. Its processes and its files are gone afterwards."""
    # Not pytest's own folder: a socket's path may have about a hundred signs.
    folder = Path(tempfile.mkdtemp(prefix="adjourn-pg-"))
    account = _account()
    if account is not None:
        shutil.chown(folder, account)
    try:
        initialise = [programs / "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        initialise += [f"--username={USER}", "--no-sync", f"--pgdata={folder / 'data'}"]
        _run_as(account, initialise)
        with _running(programs, folder, account):
            yield Server(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(programs: Path, folder: Path, account: str | None) -> Generator[None]:
    command = [programs / "postgres", "-D", folder / "data", "-k", folder]
    for setting in SETTINGS:
        command += ["-c", setting]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            user=account,
        )
    try:
        _wait_until_it_answers(process, folder)
        yield
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: there is nothing to write down
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)


def _wait_until_it_answers(process: "subprocess.Popen[bytes]", folder: Path) -> None:
    started = stopwatch_seconds()
    while True:
        try:
            Server(folder).connect("postgres").close()
            return
        except psycopg.OperationalError as error:
            late = stopwatch_seconds() - started > START_SECONDS
            if late or process.poll() is not None:
                log = (folder / "log").read_text(errors="replace")
                raise RuntimeError(f"PostgreSQL did not start: {log or error}") from error
            time.sleep(0.05)


def _account() -> str | None:
    """Whose server it is: PostgreSQL refuses to run as root, so then its package's own account."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run_as(account: str | None, command: Sequence[str | Path]) -> None:
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
        user=account,
        cwd="/",
    )
    if ran.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {ran.returncode}: {ran.stderr or ran.stdout}")


def install() -> str:
    """Try Debian's package; what came of it, in words."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return MISSING
    for command in INSTALL:
        try:
            ran = subprocess.run(
                command,
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{MISSING} ({error})"
        if ran.returncode != 0:
            words = (ran.stderr.strip() or ran.stdout.strip() or "no word").splitlines()[-1]
            return f"{MISSING} ({' '.join(command)}: {words})"
    return "PostgreSQL was installed with apt-get (once)." if find() else MISSING


def main() -> int:
    if find() is None:
        print("No PostgreSQL here: trying to install one ...", flush=True)  # before a minute's wait
        print(install())
    programs = find()
    if programs is not None:
        print(f"The records' tests run on SQLite and on the PostgreSQL of {programs}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
