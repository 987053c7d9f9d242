"""Watches over turns: no sockets, threads or processes while orchestrator code runs."""

from __future__ import annotations

import sys
import threading
from typing import Any

from adjourn.replay.guards import refuse
from adjourn.replay.loop import in_turn

_AUDITED: dict[str, str] = {
    "socket.__new__": "opens a socket",
    "socket.connect": "opens a socket",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "forks the process",
    "_thread.start_new_thread": "starts a thread",
    "_thread.start_joinable_thread": "starts a thread",
    "time.sleep": "blocks; `await asyncio.sleep(...)` is durable here",
}


_installed = False


def _audit(event: str, _args: tuple[Any, ...]) -> None:
    if event in _AUDITED and in_turn():
        refuse(_AUDITED[event])


def install() -> None:
    """Watch for sockets, threads and processes during turns. Idempotent.

    An audit hook, since it needs no import sandbox, which breaks libraries elsewhere. Before 3.12
    Python does not audit the start of threads (test_guards), so there `Thread.start` is wrapped.
    """
    global _installed
    if _installed:
        return
    _installed = True
    sys.addaudithook(_audit)
    if sys.version_info < (3, 12):
        start = threading.Thread.start

        def guarded_start(self: threading.Thread) -> None:
            if in_turn():
                refuse("starts a thread")
            start(self)

        threading.Thread.start = guarded_start
