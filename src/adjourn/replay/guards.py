"""What would leave determinism, and the right form of it: the lessons behind DeterminismError."""

from __future__ import annotations

from typing import NoReturn

from adjourn.errors import DeterminismError

_DO_IT_IN_AN_ACTIVITY = (
    "An orchestrator runs again from its history, so this would happen again each time. "
    "Put it into an activity and write `await ctx.call_activity(...)`."
)

LESSONS: dict[str, str] = {
    "run_in_executor": "runs work in a thread",
    "call_soon_threadsafe": "lets another thread wake the orchestrator",
    "create_connection": "opens a socket",
    "create_server": "opens a socket",
    "create_datagram_endpoint": "opens a socket",
    "create_unix_connection": "opens a socket",
    "create_unix_server": "opens a socket",
    "connect_accepted_socket": "opens a socket",
    "getaddrinfo": "asks the network",
    "getnameinfo": "asks the network",
    "sock_connect": "uses a socket",
    "sock_recv": "uses a socket",
    "sock_sendall": "uses a socket",
    "add_reader": "waits for a file or socket",
    "add_writer": "waits for a file or socket",
    "connect_read_pipe": "waits for a pipe",
    "connect_write_pipe": "waits for a pipe",
    "subprocess_exec": "starts a process",
    "subprocess_shell": "starts a process",
    "add_signal_handler": "handles signals",
    "run_until_complete": "runs another event loop",
    "run_forever": "runs another event loop",
}


def refuse(what: str) -> NoReturn:
    """Raises: DeterminismError with the lesson."""
    raise DeterminismError(f"Inside an orchestrator, something {what}. {_DO_IT_IN_AN_ACTIVITY}")
