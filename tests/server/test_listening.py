"""The socket that the server listens on."""

import socket

import pytest

from adjourn.server import listen
from adjourn.server.listening import address_of


def test_a_listener_is_tcp_so_that_no_answer_waits_for_nagle() -> None:
    with listen("127.0.0.1", 0) as listener:
        # asyncio sets TCP_NODELAY on accepted sockets only when the protocol is named.
        assert listener.proto == socket.IPPROTO_TCP


def test_localhost_is_an_address_of_this_machine() -> None:
    with listen("localhost", 0) as listener:
        assert address_of(listener).startswith("http://127.0.0.1:")


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as listener, pytest.raises(OSError):
        listen("127.0.0.1", listener.getsockname()[1])
