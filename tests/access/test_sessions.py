"""Sessions: new at each sign-in, over when they should be, and worth nothing to anybody else."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.responses import Response

from adjourn.access.gate import Gate
from adjourn.access.sessions import (
    COOKIE,
    SESSIONS_LIMIT,
    Session,
    SignedIn,
    clear_cookie,
    key_of,
    set_cookie,
)
from adjourn.access.settings import SessionRules
from tests.access.gated import NOON, Gated, asks, sign_in, uses


def test_a_session_says_who_and_when_and_gives_nothing_away(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        signed_in = SignedIn(
            person="lena", how="oidc", at=NOON - timedelta(hours=1), id_token="eyJ.token"
        )
        id = await gate.sessions.begin(signed_in, address="10.0.0.1", browser="B" * 999)

        session = await gate.sessions.find(id)

        assert session is not None
        assert (session.person, session.began_at) == ("lena", NOON)
        assert session.signed_in_at == NOON - timedelta(hours=1)
        assert (session.address, session.browser) == ("10.0.0.1", "B" * 200)
        assert session.handle == key_of(id)[:16]
        assert id not in repr(session) and "eyJ" not in repr(session)
        assert [each.handle for each in await gate.sessions.of("lena")] == [session.handle]
        assert await gate.sessions.of("ada") == []

    asyncio.run(story())


def test_the_id_stands_nowhere_in_the_file(gated: Gated) -> None:
    id = asyncio.run(sign_in(gated.gate(), "lena"))

    kept = b"".join(each.read_bytes() for each in gated.records.parent.glob("cases.db.access*"))

    assert len(id) == 43 and b"lena" in kept
    assert id.encode() not in kept and key_of(id).encode() in kept


def test_each_sign_in_has_an_id_of_its_own_and_the_one_before_is_over(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        first = await sign_in(gate, "lena")
        second = await sign_in(gate, "lena", replaces=first)
        other = await sign_in(gate, "lena")

        assert len({first, second, other}) == 3
        assert await asks(gate, first) is None
        assert await asks(gate, second) is not None and await asks(gate, other) is not None

    asyncio.run(story())


@pytest.mark.parametrize(
    "planted",
    ["x" * 43, "", "../../etc", "a" * 44, "'; DROP TABLE records; --", "\x00" * 43, "é" * 43],
)
def test_an_id_that_somebody_planted_is_nobodys_and_never_becomes_a_session(
    gated: Gated, planted: str
) -> None:
    async def story() -> None:
        gate = gated.gate()
        assert await asks(gate, planted) is None
        id = await sign_in(gate, "lena", replaces=planted)
        assert id != planted
        assert await asks(gate, planted) is None and await asks(gate, id) is not None
        assert await gate.sessions.end(planted) is None

    asyncio.run(story())


def test_a_session_of_another_is_ended_by_a_sign_in_in_the_same_browser(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        lenas = await sign_in(gate, "lena")
        await sign_in(gate, "ada", replaces=lenas)
        assert await asks(gate, lenas) is None

    asyncio.run(story())


def test_after_sign_out_the_id_is_worth_nothing_in_any_process(gated: Gated) -> None:
    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        id = await sign_in(here, "lena")
        assert await asks(there, id) is not None

        ended = await here.sessions.end(id)

        assert ended is not None and ended.person == "lena"
        assert await asks(here, id) is None and await asks(there, id) is None
        assert await here.sessions.end(id) is None

    asyncio.run(story())


@pytest.mark.parametrize("step_minutes", [20, 59])
def test_whoever_is_there_stays_in_until_the_absolute_end(gated: Gated, step_minutes: int) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        for _ in range(719 // step_minutes):
            gated.clock.moves(minutes=step_minutes)
            assert await uses(gate, id) is not None
        gated.clock.at = NOON + timedelta(minutes=720)
        assert await asks(gate, id) is None
        assert await gate.sessions.of("lena") == []

    asyncio.run(story())


def test_whoever_is_away_for_too_long_is_out(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        gated.clock.moves(minutes=59, seconds=59)
        assert await uses(gate, id) is not None
        gated.clock.moves(minutes=59, seconds=59)
        assert await asks(gate, id) is not None  # a look, which is no use
        gated.clock.moves(seconds=1)
        assert await asks(gate, id) is None
        await uses(gate, id)
        assert await asks(gate, id) is None  # to come too late brings nothing back
        gated.clock.at = NOON  # not even a clock that is set back
        await gate.records.sweep()

    asyncio.run(story())


@pytest.mark.parametrize("idle_minutes", [1, 2, 60])
def test_being_there_keeps_also_a_short_session(gated: Gated, idle_minutes: int) -> None:
    async def story() -> None:
        rules = SessionRules(idle_minutes=idle_minutes, absolute_minutes=720)
        gate = gated.gate(session=rules)
        id = await sign_in(gate, "lena")
        for _ in range(15):
            gated.clock.moves(seconds=idle_minutes * 60 * 0.74)
            assert await uses(gate, id) is not None

    asyncio.run(story())


def test_last_seen_is_written_once_a_minute_at_most(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        await uses(gate, id)
        mark = await gate.records.mark()
        for _ in range(59):
            gated.clock.moves(seconds=1)
            await uses(gate, id)
        assert await gate.records.mark() == mark
        gated.clock.moves(seconds=1)
        await uses(gate, id)
        assert await gate.records.mark() != mark
        assert (await gate.sessions.of("lena"))[0].seen_at == NOON + timedelta(minutes=1)

    asyncio.run(story())


def test_a_session_is_used_by_whoever_came_with_it_and_by_nobody_else(gated: Gated) -> None:
    """A key, or a proxy that we trust, beside the cookie: then it is not the session that asks."""

    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        gated.clock.moves(minutes=10)
        await uses(gate, id, authorization="Bearer adj_1_x")
        await uses(gate, id, peer="10.1.2.3", **{"X-Forwarded_User": "ada"})
        assert (await gate.sessions.of("lena"))[0].seen_at == NOON
        await uses(gate, id, peer="10.9.9.9", **{"x-forwarded-user": "ada"})
        assert (await gate.sessions.of("lena"))[0].seen_at == gated.clock.at

    asyncio.run(story())


def test_shorter_rules_count_for_sessions_that_were_there_before(gated: Gated) -> None:
    async def story() -> None:
        id = await sign_in(gated.gate(), "lena")
        gated.clock.moves(minutes=11)
        strict = gated.gate(session=SessionRules(idle_minutes=10, absolute_minutes=20))
        assert await asks(strict, id) is None

    asyncio.run(story())


def test_a_session_that_ends_while_it_is_seen_stays_ended(gated: Gated) -> None:
    """Seen and ended at once, in two processes: never one that comes back."""

    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        for _ in range(10):
            id = await sign_in(here, "lena")
            gated.clock.moves(minutes=2)
            await asyncio.gather(here.sessions.seen(id), there.sessions.end(id))
            assert await here.sessions.find(id) is None

    asyncio.run(story())


def test_one_of_many_is_ended_by_its_handle_and_only_by_its_owner(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        first, second = await sign_in(gate, "lena"), await sign_in(gate, "lena")
        adas = await sign_in(gate, "ada")

        assert not await gate.sessions.end_handle("ada", key_of(first)[:16])
        assert not await gate.sessions.end_handle("lena", "0" * 16)
        assert not await gate.sessions.end_handle("lena", "")
        assert await gate.sessions.end_handle("lena", key_of(first)[:16])

        assert await asks(gate, first) is None
        assert await asks(gate, second) is not None and await asks(gate, adas) is not None

    asyncio.run(story())


def test_all_of_a_person_end_and_all_of_everybody(gated: Gated) -> None:
    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        lenas = [await sign_in(here, "lena") for _ in range(3)]
        adas = await sign_in(here, "ada")

        assert await there.sessions.end_all("lena") == 3
        assert [await asks(here, id) for id in lenas] == [None] * 3
        assert await asks(here, adas) is not None
        assert await there.sessions.end_all() == 1
        assert await asks(here, adas) is None

    asyncio.run(story())


@pytest.mark.slow
def test_nobody_collects_sessions_without_end(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        ids: list[str] = []
        for _ in range(SESSIONS_LIMIT + 5):
            ids.append(await sign_in(gate, "lena"))
            gated.clock.moves(seconds=1)
        assert len(await gate.sessions.of("lena")) == SESSIONS_LIMIT
        assert await gate.sessions.find(ids[4]) is None
        assert await gate.sessions.find(ids[5]) is not None

    asyncio.run(story())


def test_a_provider_whose_clock_is_ahead_makes_no_fresh_sign_in_for_later(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena", at=NOON + timedelta(hours=5))
        actor = await asks(gate, id)
        assert actor is not None and actor.signed_in_at == NOON

    asyncio.run(story())


def flags(response: Response) -> set[str]:
    return {part.strip().lower() for part in response.headers["set-cookie"].split(";")}


def test_the_cookie_is_for_this_host_alone_and_for_no_script() -> None:
    given, taken = Response(), Response()
    set_cookie(given, "abc", 720)
    clear_cookie(taken)

    assert flags(given) == {
        f"{COOKIE}=abc".lower(), "max-age=720", "path=/", "secure", "httponly", "samesite=lax",
    }  # fmt: skip
    assert flags(taken) >= {"max-age=0", "path=/", "secure", "httponly", "samesite=lax"}
    assert COOKIE.startswith("__Host-"), "browsers hold us to it: no Domain, no other path"


def test_a_restart_keeps_sessions_and_their_ends(gated: Gated) -> None:
    id = asyncio.run(sign_in(gated.gate(), "lena"))
    gated.close()
    gated.clock.moves(minutes=59)

    async def later(gate: Gate) -> None:
        assert await asks(gate, id) is not None
        gated.clock.moves(minutes=61)
        assert await asks(gate, id) is None

    again = Gated.__new__(Gated)
    again.__dict__.update(gated.__dict__, _opened=[])
    asyncio.run(later(again.gate()))
    again.close()
    gated._opened.clear()


WORKER = """
import asyncio, sys
from pathlib import Path
from tests.access.gated import Gated, sign_in

async def story():
    gate = gated.gate()
    ids = [await sign_in(gate, "lena") for _ in range(3)]
    await gate.sessions.end(ids[0])
    await gate.directory.disable("vic")
    print(*ids, flush=True)
    while True:
        await gate.sessions.end(await sign_in(gate, "ada"))

gated = Gated(Path(sys.argv[1]))
asyncio.run(story())
"""


@pytest.mark.slow
def test_what_was_told_survives_kill_9(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        assert worker.stdout is not None
        ended, *kept = worker.stdout.readline().split()
        worker.send_signal(signal.SIGKILL)

    gated = Gated(tmp_path)

    async def look() -> None:
        gate = gated.gate()
        assert len(kept) == 2
        assert await asks(gate, ended) is None
        assert [await asks(gate, id) is not None for id in kept] == [True, True]
        person = gate.find("vic")
        assert person is None or person.disabled
        await gate.directory.fresh()
        person = gate.find("vic")
        assert person is not None and person.disabled

    asyncio.run(look())
    gated.close()


def test_a_row_that_is_no_session_is_an_error_and_lets_nobody_in(gated: Gated) -> None:
    gate = gated.gate()
    id = asyncio.run(sign_in(gate, "lena"))
    with sqlite3.connect(gated.records) as raw:
        raw.execute("UPDATE records SET value = '{\"person\": 7}' WHERE space = 'sessions'")
    raw.close()

    with pytest.raises(Exception, match=r"cases\.db\.access"):
        asyncio.run(asks(gate, id))


def test_what_is_kept_reads_back_as_it_was(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena", groups=["a", "b"], provider_session="p", id_token="t")
        found = await gate.records.get("sessions", key_of(id), Session)
        assert found == await gate.sessions.find(id)
        assert found is not None and (found.groups, found.provider_session) == (["a", "b"], "p")

    asyncio.run(story())
