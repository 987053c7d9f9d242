"""Listening, and stopping without losing what was taken."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from adjourn.approvals.people import Authenticator
from adjourn.server.connections import KEEP_ALIVE_SECONDS, Connection
from adjourn.server.guard import HEADERS_BYTES, TARGET_BYTES, check_listening
from adjourn.server.waits import Waits

BACKLOG = 1024  # connections that wait to be accepted
GRACE_SECONDS = 5  # how long stopping waits for requests at hand


def listen(host: str, port: int, authenticator: Authenticator | None = None) -> socket.socket:
    """A listening socket; port 0 means any free one.

    Raises: RefusedAddressError for anything but loopback, unless people sign in; OSError when the
    port is taken or the address is not this machine's.
    """
    check_listening(host, authenticator)
    address = "127.0.0.1" if host.lower() == "localhost" else host
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # Said to be TCP, so that asyncio turns off Nagle's waiting on what it accepts: without that,
    # each answer on a kept connection takes 40 ms (test_listening).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two processes take one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def address_of(listener: socket.socket) -> str:
    """`http://127.0.0.1:7071`."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _host_of(listener: socket.socket) -> str:
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return "a socket in the file system"
    return str(listener.getsockname()[0])


class Server(uvicorn.Server):
    """Serves one application. Signals belong to whoever runs it: `stop` is what they call."""

    def __init__(
        self,
        app: FastAPI,
        ready: Callable[[], None],
        connection: type[Connection] = Connection,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=connection,
            h11_max_incomplete_event_size=HEADERS_BYTES + TARGET_BYTES,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody in front of us is trusted to say who asks
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        super().__init__(config)
        self._ready = ready
        self._authenticator: Authenticator | None = app.state.authenticator
        self._waits: Waits = app.state.waits

    def stop(self) -> None:
        """Take no more requests, answer those at hand, and let `serve` return; a second call does
        not wait for them. May be called by a signal handler."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Raises: RefusedAddressError for a socket that `listen` would not have made."""
        for each in sockets or ():
            check_listening(_host_of(each), self._authenticator)
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._waits.end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        # uvicorn would raise the signal again after serving, before the engine is closed.
        yield
