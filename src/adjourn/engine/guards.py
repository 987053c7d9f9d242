"""Watches over turns: no sockets, threads or processes while orchestrator code runs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from adjourn.replay.guards import refuse
from adjourn.replay.loop import in_turn

P = ParamSpec("P")
R = TypeVar("R")

_AUDITED: dict[str, str] = {
    "socket.__new__": "opens a socket",
    "socket.connect": "opens a socket",
    "subprocess.Popen": "starts a process",
    "os.system": "starts a process",
    "os.fork": "forks the process",
    "os.forkpty": "forks the process",
    "os.posix_spawn": "starts a process",
    "os.spawn": "starts a process",
    "os.exec": "replaces the process",
    "socket.getaddrinfo": "asks the network",
    "socket.gethostbyname": "asks the network",
    "socket.gethostbyaddr": "asks the network",
    "socket.getnameinfo": "asks the network",
    "_thread.start_new_thread": "starts a thread",
    "_thread.start_joinable_thread": "starts a thread",
    "time.sleep": "blocks; `await asyncio.sleep(...)` is durable here",
}


_installed = False


def _audit(event: str, _args: tuple[Any, ...]) -> None:
    if event in _AUDITED and in_turn():
        refuse(_AUDITED[event])


def install() -> None:
    """Watch for sockets, threads, processes and blocking during turns. Idempotent.

    An audit hook, since it needs no import sandbox, which breaks libraries elsewhere. Python
    audits the start of threads from 3.12 on and `time.sleep` from 3.13 on (test_guards), so before
    that the two are wrapped.
    """
    global _installed
    if _installed:
        return
    _installed = True
    sys.addaudithook(_audit)
    if sys.version_info < (3, 12):
        threading.Thread.start = _guarded(threading.Thread.start, "_thread.start_new_thread")
    if sys.version_info < (3, 13):
        time.sleep = _guarded(time.sleep, "time.sleep")


def _guarded(function: Callable[P, R], event: str) -> Callable[P, R]:
    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if in_turn():
            refuse(_AUDITED[event])
        return function(*args, **kwargs)

    return guarded
