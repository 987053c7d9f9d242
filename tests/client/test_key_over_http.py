"""A program's key: to the address that was given, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adjourn import Adjourn, Client
from adjourn.errors import (
    AdjournError,
    NotSignedInError,
    RefusedKeyError,
    RemoteError,
    ScopeMissingError,
)
from adjourn.server.problems import problem_response, status_of

SECRET = "s3cr3t" * 7 + "x"
KEY = f"adj_0123456789abcdef_{SECRET}"


class Heard:
    """A server on the loopback that writes down what it hears, and always answers the same."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[str] = []
        self.address = ""

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    @property
    def keys(self) -> list[str]:
        """The lines of all requests that hold an authorization, or the key anywhere."""
        lines = "".join(self.requests).splitlines()
        return [line for line in lines if "uthorization" in line or SECRET in line]


def answered(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def problem(error: AdjournError) -> bytes:
    """As our server says it."""
    status = status_of(error, "/api/v1/instances/x")
    return answered(f"{status} No", bytes(problem_response(error, status, "of the request").body))


PAGE = answered("200 OK", b'{"instances": [], "next_token": null}')


@asynccontextmanager
async def hearing(answer: bytes) -> AsyncIterator[Heard]:
    heard = Heard(answer)
    server = await asyncio.start_server(heard.hear, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    heard.address = f"http://{host}:{port}"
    async with server:
        yield heard


async def ask(address: str, key: str | None = KEY) -> None:
    async with asyncio.timeout(20), Adjourn().open(address, key=key) as client:
        await client.list()


@pytest.fixture(autouse=True)
def no_key_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADJOURN_KEY", raising=False)


def test_the_key_goes_in_one_header_and_in_no_address() -> None:
    async def story() -> None:
        async with hearing(PAGE) as heard:
            await ask(heard.address)
            await ask(heard.address, None)
            assert heard.keys == [f"authorization: Bearer {KEY}"]

    asyncio.run(story())


def test_the_environments_key_is_taken_unless_another_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        async with hearing(PAGE) as heard:
            monkeypatch.setenv("ADJOURN_KEY", f"{KEY}\n")
            await ask(heard.address, None)
            await ask(heard.address, "adj_another")
            await ask(heard.address, "")
            assert heard.keys == [
                f"authorization: Bearer {KEY}",
                "authorization: Bearer adj_another",
            ]

    asyncio.run(story())


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Go", "308 Go"])
def test_a_redirect_is_not_followed(status: str) -> None:
    async def story() -> None:
        async with hearing(PAGE) as other:
            moved = answered(status, b"", f"location: {other.address}/api/v1/instances")
            async with hearing(moved) as heard:
                with pytest.raises(RemoteError, match=status[:3]):
                    await ask(heard.address)
                assert len(heard.requests) == 1
        assert other.requests == []

    asyncio.run(story())


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_never_sees_it(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with hearing(PAGE) as proxy, hearing(PAGE) as heard:
            monkeypatch.setenv(variable, proxy.address)
            monkeypatch.delenv("NO_PROXY", raising=False)
            monkeypatch.delenv("no_proxy", raising=False)
            await ask(heard.address)
            assert (len(heard.requests), proxy.requests) == (1, [])

    asyncio.run(story())


@pytest.mark.parametrize(
    "address",
    [
        "http://adjourn.example.com",
        "http://adjourn:7071",
        "http://10.0.0.1:7071",
        "http://192.168.1.1",
        "http://169.254.169.254",
        "http://0.0.0.0:7071",
        "http://[::]:7071",
        "http://[::ffff:10.0.0.1]",
        "http://[fe80::1]",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://localhost.",
        "http://my-localhost",
        "http://127.1.example.com:7071",
        "http://localhost@adjourn.example.com",
        "http://127.0.0.1:7071@adjourn.example.com",
        "http://adjourn.example.com\\@localhost",
        "http://adjourn.example.com/localhost",
        "http://adjourn.example.com?@localhost",
        "http://adjourn.example.com#@localhost",
        "https://lena:other@adjourn.example.com",
        "https://lena@localhost",
    ],
)
def test_in_clear_text_it_stays_on_this_machine(address: str) -> None:
    with pytest.raises(
        RefusedKeyError, match=r"Use the server's https|Write the address"
    ) as caught:
        asyncio.run(opened(address))
    assert SECRET not in str(caught.value) and "other@" not in str(caught.value)


async def opened(address: str, key: str = KEY) -> None:
    """Opened, and nothing asked: it connects at the first call."""
    async with Adjourn().open(address, key=key):
        pass


@pytest.mark.parametrize(
    "address",
    [
        "http://localhost:7071",
        "http://127.0.0.1:7071",
        "http://127.8.8.8",
        "http://[::1]:7071",
        "https://adjourn.example.com",
        "https://10.0.0.1/below",
    ],
)
def test_to_this_machine_and_over_https_it_goes(address: str) -> None:
    asyncio.run(opened(address))


@pytest.mark.parametrize(
    "key",
    [
        f"{SECRET}",
        "adj_",
        f"ADJ_{SECRET}",
        f"adj_{SECRET}\n",
        f"adj_{SECRET}\r\nx-forwarded-user: lena",
        f"adj_{SECRET} ",
        f" adj_{SECRET}",
        f"Bearer adj_{SECRET}",
        f"adj_{SECRET}\0",
        f"adj_{SECRET}\u00e9",
        f"adj_{SECRET}" + "A" * 1_000,
    ],
)
def test_what_is_no_key_is_not_sent_and_not_shown(key: str) -> None:
    with pytest.raises(RefusedKeyError, match="begins with adj_") as caught:
        asyncio.run(opened("http://127.0.0.1:1", key))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_file_takes_no_key(tmp_path: Path) -> None:
    with pytest.raises(RefusedKeyError, match="it is a file"):
        Adjourn().open(tmp_path / "a.db", key=KEY)


def test_a_file_is_opened_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_KEY", KEY)

    async def story() -> None:
        async with Adjourn().open(tmp_path / "a.db") as client:
            assert (await client.list()).instances == []

    asyncio.run(story())


# Answers.


@pytest.mark.parametrize(
    "answer",
    [
        problem(NotSignedInError()),
        answered("401 Unauthorized"),
        answered("401 Unauthorized", b"<html>Who are you?</html>"),
        answered("401 Unauthorized", b'{"Message": "x", "code": "RemoteError"}'),
    ],
)
def test_401_says_what_to_do(answer: bytes) -> None:
    async def story() -> None:
        async with hearing(answer) as heard:
            with pytest.raises(NotSignedInError, match="wrong, revoked or expired"):
                await ask(heard.address)
            with pytest.raises(NotSignedInError, match="Set ADJOURN_KEY"):
                await ask(heard.address, "")

    asyncio.run(story())


def test_403_names_the_scope_that_is_missing() -> None:
    async def story() -> None:
        async with hearing(problem(ScopeMissingError("instances:start"))) as heard:
            with pytest.raises(ScopeMissingError, match="instances:start") as caught:
                await ask(heard.address)
            assert caught.value.scope == "instances:start"

    asyncio.run(story())


def test_403_of_somebody_in_between_is_an_answer_that_we_do_not_know() -> None:
    async def story() -> None:
        async with hearing(answered("403 Forbidden", b"<html>No.</html>")) as heard:
            with pytest.raises(RemoteError, match="403"):
                await ask(heard.address)

    asyncio.run(story())


# What is said of it.


@pytest.mark.parametrize(
    "answer",
    [
        PAGE,
        problem(NotSignedInError()),
        problem(ScopeMissingError("instances:read")),
        answered("302 Found", b"", "location: http://127.0.0.1:1/"),
        answered("500 Broken", b"Bearer?"),
        b"no HTTP at all\r\n\r\n",
        b"",
    ],
    ids=["good", "401", "403", "302", "500", "noise", "silence"],
)
def test_no_log_no_error_and_no_object_holds_it(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def story() -> None:
        async with hearing(answer) as heard, Adjourn().open(heard.address, key=KEY) as client:
            told.extend(shown(client))
            try:
                await client.list()
            except AdjournError as error:
                told.extend(traceback.format_exception(error))
                told.append(repr(vars(error)))
            assert heard.keys == [f"authorization: Bearer {KEY}"]

    asyncio.run(story())
    assert SECRET not in caplog.text + "".join(told)
    assert "httpx" in caplog.text or "httpcore" in caplog.text  # they were listened to


def shown(client: Client) -> list[str]:
    backend = client.backend
    http = vars(backend)["_http"]
    return [repr(client), repr(backend), repr(vars(backend)), repr(http), repr(http.headers)]
