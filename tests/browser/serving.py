"""`adjourn run` as a person starts it: a process of its own, on a loopback port."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

import httpx

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "adjourn", "run"]
START_SECONDS = 30
STOP_SECONDS = 15


class ServerProcess:
    """A server that can be stopped or killed, and started again at the same address and file.

    `said` holds every line it printed. Leaving the block stops it, and fails when it printed a
    traceback.
    """

    def __init__(
        self,
        target: str,
        database: Path,
        *,
        folder: Path = ROOT,
        port: int = 0,
        settings: Path | None = None,
        environment: Mapping[str, str] = {},
    ) -> None:
        """`target` is looked for from `folder`: "tests.browser.cases:app" from the root. With
        `settings` people sign in; `environment` is added to this process's own."""
        self.said: list[str] = []
        self.address = ""
        self.http = httpx.Client()
        self._port = str(port)
        self._arguments = [target, "--db", str(database)]
        if settings is not None:
            self._arguments += ["--settings", str(settings)]
        # The tests' own warning filters are for the tests.
        self._environment = {**os.environ, **environment}
        self._environment.pop("PYTHONWARNINGS", None)
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()
        self.http.close()
        assert not any("Traceback" in line for line in self.said), "\n".join(self.said)

    def start(self) -> None:
        """Returns when it serves, at the port that it had before."""
        assert self._process is None, "It runs already."
        process = subprocess.Popen(
            [*COMMAND, *self._arguments, "--port", self._port],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        first: SimpleQueue[str] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, args=(process, first), daemon=True)
        self._listener.start()
        self._process = process
        try:
            _, serves, rest = first.get(timeout=START_SECONDS).partition(" at http://")
        except Empty:
            serves = rest = ""
        if not serves:
            self.kill()
            raise AssertionError("The server did not start:\n" + "\n".join(self.said))
        self.address = "http://" + rest.split(",")[0]
        self._port = self.address.rpartition(":")[2]
        self.http.close()
        self.http = httpx.Client(base_url=self.address, trust_env=False, timeout=10)

    def _listen(self, process: subprocess.Popen[str], first: SimpleQueue[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.said.append(line.rstrip("\n"))
            first.put(line)
        first.put("")

    def stop(self) -> None:
        """As Ctrl-C or a service manager would; fails when it does not end well."""
        assert self._process is not None
        self._process.terminate()
        code = self._gone()
        assert code == 0, f"The server ended with {code}:\n" + "\n".join(self.said)

    def kill(self) -> None:
        """As a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._gone()

    def _gone(self) -> int:
        process, self._process = self._process, None
        assert process is not None and process.stdout is not None
        try:
            return process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
            self._listener.join()
            process.stdout.close()
