"""One life of the worker process, seen from outside. Every wait is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

ROOT = Path(__file__).parents[2]
READY_SECONDS = 30.0
GONE_SECONDS = 30.0


class Worker:
    """A child process; `heard` holds what it acknowledged, even after it died."""

    def __init__(self, module: str, *arguments: str, errors: Path) -> None:
        with errors.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        self.heard: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith(b"\n"):  # a kill can cut the last one
                self.heard.put(json.loads(line))

    def say(self, **line: Any) -> bool:
        """Returns whether it could still be said."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return False
        return True

    def next_line(self, seconds: float = READY_SECONDS) -> dict[str, Any] | None:
        """The next line, or None when it died (or said nothing for so long)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                return self.heard.get(timeout=0.05)
            except Empty:
                if not self._listener.is_alive() and self.heard.empty():
                    return None
        return None

    def await_death(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        self._process.kill()

    def bury(self) -> int:
        """Its exit code, once it is gone and all it said has been heard."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except OSError:
            pass  # what was still in the buffer has no reader
        if not self.await_death(GONE_SECONDS):
            self._process.kill()
        code = self._process.wait(GONE_SECONDS)
        self._listener.join(GONE_SECONDS)
        self._process.stdout.close()
        return code
