"""Who sends a request: one identity, and nothing that falls through to another."""

from __future__ import annotations

import asyncio

import pytest
from starlette.datastructures import Headers

from adjourn.access.scopes import ALL
from tests.access.gated import Gated, asks, quick_keys, sign_in

PROXY = "10.1.2.3"
HEADER = "x-forwarded-user"


def test_a_key_is_a_program_with_its_scopes_and_never_a_person(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        key = await gate.keys.make("ci", ["instances:read"])
        actor = await asks(gate, headers={"authorization": f"Bearer {key}"})
        assert actor is not None
        assert (actor.id, actor.agent, actor.scopes) == ("key:ci", True, ["instances:read"])
        assert actor.roles == [] and actor.signed_in_at is None

    asyncio.run(story())


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        [""],
        ["Bearer"],
        ["Bearer "],
        ["Bearer nonsense"],
        ["Bearer adj_0000000000000000_" + "x" * 43],
        ["Bearer {key}x"],
        ["Bearer {wrong}"],
        ["Bearer {key} {key}"],
        ["Basic YWRhOmFkYQ=="],
        ["Basic {key}"],
        ["{key}"],
        ["Token {key}"],
        ["Bearer {session}"],
        ["Bearer {key}", "Bearer {key}"],
        ["Bearer {key}", ""],
    ],
)
@pytest.mark.parametrize("beside", ["alone", "with a session", "from the proxy"])
def test_a_bad_authorization_makes_a_request_nobodys(
    gated: Gated, given: list[str], beside: str
) -> None:
    async def story() -> None:
        gate = gated.gate()
        key = await gate.keys.make("ci", ALL)
        session = await sign_in(gate, "ada")
        told = {"key": key, "session": session, "wrong": key[:-1] + chr(ord(key[-1]) ^ 1)}
        lines = [("authorization", each.format(**told)) for each in given]
        if beside == "from the proxy":
            lines.append((HEADER, "ada"))
        headers = Headers(raw=[(name.encode(), value.encode()) for name, value in lines])
        peer = PROXY if beside == "from the proxy" else "127.0.0.1"
        cookie = session if beside == "with a session" else ""
        assert await asks(gate, cookie, headers, peer) is None

    asyncio.run(story())


def test_a_revoked_key_opens_nothing_from_the_next_request_on(gated: Gated) -> None:
    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        key = await there.keys.make("ci", ALL)
        headers = {"authorization": f"Bearer {key}"}
        assert await asks(here, headers=headers) is not None
        await there.keys.revoke("ci")
        assert await asks(here, headers=headers) is None

    asyncio.run(story())


def test_keys_open_nothing_where_programs_do_not_come_in(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate(keys=False)
        key = await quick_keys(gate.records, gated.clock).make("ci", ALL)
        session = await sign_in(gate, "ada")
        headers = {"authorization": f"Bearer {key}"}
        assert await asks(gate, session, headers) is None

    asyncio.run(story())


def test_the_proxy_says_who_it_is_and_a_session_does_not_say_otherwise(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        session = await sign_in(gate, "ada")
        for cookie in ("", session):
            actor = await asks(gate, cookie, {HEADER: "lena"}, PROXY)
            assert actor is not None and (actor.id, actor.signed_in_at) == ("lena", None)
        actor = await asks(gate, session, {}, PROXY)
        assert actor is not None and actor.id == "ada", "a proxy that says nothing of people"

    asyncio.run(story())


@pytest.mark.parametrize(
    "lines",
    [
        [(HEADER, "nobody-known")],
        [(HEADER, "gone")],
        [(HEADER, "")],
        [(HEADER, "group:finance")],
        [(HEADER, "lena"), (HEADER, "ada")],
        [(HEADER, "ada"), (HEADER, "ada")],
        [(HEADER, "lena"), ("x_forwarded_user", "ada")],
        [("x_forwarded_user", "ada")],
    ],
)
@pytest.mark.parametrize("with_session", [True, False])
def test_what_a_proxy_says_of_nobody_known_is_nobody(
    gated: Gated, lines: list[tuple[str, str]], with_session: bool
) -> None:
    async def story() -> None:
        gate = gated.gate()
        session = await sign_in(gate, "vic") if with_session else ""
        headers = Headers(raw=[(name.encode(), value.encode()) for name, value in lines])
        assert await asks(gate, session, headers, PROXY) is None

    asyncio.run(story())


@pytest.mark.parametrize(
    "peer", ["127.0.0.1", "10.1.2.4", "", "::1", "::ffff:10.1.2.4", "proxy", "10.1.2.3.evil"]
)
def test_the_header_counts_from_nobody_but_the_proxy(gated: Gated, peer: str) -> None:
    async def story() -> None:
        gate = gated.gate()
        assert await asks(gate, headers={HEADER: "ada"}, peer=peer) is None
        vics = await asks(gate, await sign_in(gate, "vic"), {HEADER: "ada"}, peer)
        assert vics is not None and vics.id == "vic"

    asyncio.run(story())


def test_without_a_proxy_in_the_settings_its_header_is_nothing(gated: Gated) -> None:
    async def story() -> None:
        assert await asks(gated.gate(proxy=None), headers={HEADER: "ada"}, peer=PROXY) is None

    asyncio.run(story())


def test_asking_twice_gives_the_same_answer(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        session = await sign_in(gate, "lena")
        assert await asks(gate, session) == await asks(gate, session) is not None

    asyncio.run(story())


def test_it_is_an_authenticator_that_is_not_local(gated: Gated) -> None:
    from adjourn.approvals.people import Authenticator

    authenticator: Authenticator = gated.gate()
    assert authenticator.local is False
