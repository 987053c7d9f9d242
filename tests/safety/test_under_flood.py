"""A real process under floods: its memory stays where it was, and it still answers others."""

from __future__ import annotations

import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.safety.doors import COOKIE, NAME, ORIGIN, exchange

pytestmark = pytest.mark.slow

ROOM = 48 * 1024 * 1024  # bytes that a flood may cost at most
STREAMS = 1_000
FLOODS = 8  # at the same time
MEGABYTE = 1024 * 1024


class Process:
    """The site of `tests.safety.serve`."""

    def __init__(self, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.safety.serve", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        with self._process:  # closes its input, which ends it
            pass

    @property
    def memory(self) -> int:
        """Bytes."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def answers(self, person: str = "lena") -> bool:
        headers = {"Host": NAME, "Cookie": f"{COOKIE}={person}"}
        address = f"http://127.0.0.1:{self.port}"
        with httpx.Client(base_url=address, trust_env=False, timeout=30, headers=headers) as http:
            return http.get("/").status_code == 200


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    made = Process(tmp_path_factory.mktemp("flooded") / "cases.db")
    for _ in range(20):
        assert made.answers()  # what is loaded once is loaded
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def nothing_is_left_behind(process: Process) -> Iterator[None]:
    before = process.memory
    yield
    assert process.answers("lena") and process.answers("omar")
    assert process.memory - before < ROOM


def head(method: str, path: str, *lines: str) -> bytes:
    own = (f"Host: {NAME}", f"Origin: {ORIGIN}", f"Cookie: {COOKIE}=grace")
    return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode()


def pour(port: int, start: bytes, part: bytes, times: int) -> bytes:
    """Send the part so often, or until it is refused; the first words of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        with suppress(OSError):
            raw.sendall(start)
            for _ in range(times):
                raw.sendall(part)
        try:
            return raw.recv(64)
        except ConnectionResetError:  # it was closed while there was more to come
            return b""


START = "/api/v1/instances/x?orchestrator=plain"


@pytest.mark.parametrize("path", [START, "/bulk", "/own"])
@pytest.mark.parametrize("told", ["Content-Length: 52428800", "Transfer-Encoding: chunked"])
def test_fifty_megabytes_are_refused(process: Process, path: str, told: str) -> None:
    kind = "json" if path == START else "x-www-form-urlencoded"
    start = head("POST", path, told, f"Content-Type: application/{kind}")
    part = b"100000\r\n" + b"7" * MEGABYTE + b"\r\n" if "chunked" in told else b"7" * MEGABYTE
    before = process.memory

    with ThreadPoolExecutor(FLOODS) as senders:
        answers = list(senders.map(lambda _: pour(process.port, start, part, 50), range(FLOODS)))

    assert all(each == b"" or each.startswith(b"HTTP/1.1 413 ") for each in answers)
    assert process.memory - before < ROOM


@pytest.mark.parametrize("line", ["X-{n}: y", "X: y", "Cookie: a=b", "{n}: " + "y" * 500])
def test_ten_thousand_headers_are_refused(process: Process, line: str) -> None:
    lines = [line.format(n=n) for n in range(10_000)]

    with ThreadPoolExecutor(FLOODS) as senders:
        sent = head("GET", "/", *lines, "Connection: close")
        answers = list(senders.map(lambda _: pour(process.port, sent, b"", 0), range(FLOODS)))

    assert all(each == b"" or each[9:12] in (b"431", b"400") for each in answers)


def test_a_hundred_thousand_levels_of_json_are_refused(process: Process) -> None:
    body = b"[" * 100_000 + b"]" * 100_000
    lines = (f"Content-Length: {len(body)}", "Content-Type: application/json", "Connection: close")

    with ThreadPoolExecutor(FLOODS) as senders:
        sent = head("POST", START, *lines) + body
        answers = list(senders.map(lambda _: exchange(process.port, sent).status, range(40)))

    assert set(answers) == {400}


@pytest.mark.parametrize("person", ["grace", ""])
def test_a_thousand_streams_leave_room_for_others(process: Process, person: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = STREAMS + 200
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    asks = f"GET /stream HTTP/1.1\r\nHost: {NAME}\r\nCookie: {COOKIE}={person}\r\n\r\n".encode()
    statuses: list[bytes] = []
    with ExitStack() as open_ones:
        for _ in range(STREAMS):
            raw = socket.create_connection(("127.0.0.1", process.port), timeout=60)
            open_ones.enter_context(raw)
            raw.sendall(asks)
            statuses.append(raw.recv(64)[9:12])
        assert process.answers("lena") and process.answers("omar")

    if person:
        assert statuses.count(b"200") == 20 and statuses.count(b"429") == STREAMS - 20
    else:
        assert set(statuses) == {b"303"}


def test_a_thousand_requests_that_never_become_whole_leave_room_for_others(
    process: Process,
) -> None:
    with ExitStack() as open_ones:
        for _ in range(STREAMS):
            raw = socket.create_connection(("127.0.0.1", process.port), timeout=60)
            open_ones.enter_context(raw)
            raw.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert process.answers("lena")
