"""Keys of programs: what opens, what does not, and what the file gives away."""

from __future__ import annotations

import asyncio
import logging
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.datastructures import Headers

from adjourn.access import keys as keys_room
from adjourn.access.keys import CHECKS_A_MINUTE, HASHES_AT_ONCE, key_in
from adjourn.access.scopes import ALL
from adjourn.errors import (
    InvalidIdError,
    InvalidSettingError,
    KeyExistsError,
    KeyNotFoundError,
)
from tests.access.keyed import CountingHasher, Opened, opened

READ = ["instances:read"]


def parts(key: str) -> tuple[str, str]:
    """Id and secret."""
    return key[4:20], key[21:]


def swapped(text: str, at: int) -> str:
    """Another character there."""
    other = "A" if text[at] != "A" else "B"
    at %= len(text)
    return text[:at] + other + text[at + 1 :]


MALFORMED: dict[str, Callable[[str], str]] = {
    "nothing": lambda key: "",
    "only the prefix": lambda key: "adj_",
    "only the id": lambda key: key[:20],
    "an id and an empty secret": lambda key: key[:21],
    "only the secret": lambda key: key[21:],
    "without the prefix": lambda key: key[4:],
    "another prefix": lambda key: "adk_" + key[4:],
    "the prefix in capitals": lambda key: "ADJ_" + key[4:],
    "the id in capitals": lambda key: f"adj_{parts(key)[0].upper()}A_{parts(key)[1]}",
    "an id that is short": lambda key: f"adj_{key[5:]}",
    "an id that is long": lambda key: f"adj_0{key[4:]}",
    "an id of no digits": lambda key: f"adj_{'g' * 16}{key[20:]}",
    "an id of wild cards": lambda key: f"adj_{'%' * 16}{key[20:]}",
    "an id of SQL": lambda key: f"adj_' OR 1=1 --12345{key[20:]}",
    "an id of NULs": lambda key: "adj_" + "\0" * 16 + key[20:],
    "an id in wide digits": lambda key: "adj_" + "\uff11" * 16 + key[20:],
    "another separator": lambda key: f"{key[:20]}-{key[21:]}",
    "a secret that is short": lambda key: key[:-1],
    "a secret that is long": lambda key: key + "A",
    "a secret with an equals sign": lambda key: key + "=",
    "a space before": lambda key: " " + key,
    "a space after": lambda key: key + " ",
    "a newline after": lambda key: key + "\n",
    "a carriage return after": lambda key: key + "\r\n",
    "a tab after": lambda key: key + "\t",
    "a NUL after": lambda key: key + "\0",
    "a NUL within": lambda key: key[:30] + "\0" + key[31:],
    "a byte order mark before": lambda key: "\ufeff" + key,
    "quotes around": lambda key: f'"{key}"',
    "twice": lambda key: key + key,
    "twice, with a comma": lambda key: f"{key}, {key}",
    "the word Bearer again": lambda key: f"Bearer {key}",
    "percent signs": lambda key: key.replace("_", "%5F"),
    "a look-alike letter": lambda key: "\u0430dj_" + key[4:],
    "half a character": lambda key: key[:-1] + "\ud800",
    "a hundred thousand characters": lambda key: key + "A" * 100_000,
}


@pytest.mark.parametrize("row", MALFORMED)
def test_what_has_not_the_form_of_a_key_is_nobody_and_reaches_no_argon2(row: str) -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            await own.keys.find(key)
            looked = own.hasher.looked

            assert await own.keys.find(MALFORMED[row](key)) is None
            assert own.hasher.looked == looked
            assert await own.keys.find(key) is not None

    asyncio.run(story())


WRONG: dict[str, Callable[[str, str], str]] = {
    "an id that nobody has": lambda key, other: "adj_" + "0" * 16 + key[20:],
    "the first digit of the id": lambda key, other: (
        "adj_" + ("0" if key[4] != "0" else "1") + key[5:]
    ),
    "another key's id": lambda key, other: other[:20] + key[20:],
    "another key's secret": lambda key, other: key[:20] + other[20:],
    "the first character of the secret": lambda key, other: key[:21] + swapped(key[21:], 0),
    "the last character of the secret": lambda key, other: swapped(key, -1),
    "the secret in the other case": lambda key, other: key[:21] + key[21:].swapcase(),
    "the secret backwards": lambda key, other: key[:21] + key[:20:-1],
    "a secret of underscores": lambda key, other: key[:21] + "_" * 43,
    "a digest as the secret": lambda key, other: (
        key[:21] + sha256(key[21:].encode()).hexdigest()[:43]
    ),
}


@pytest.mark.parametrize("seen", [False, True], ids=["never seen", "seen before"])
@pytest.mark.parametrize("row", WRONG)
def test_a_key_that_is_not_right_is_nobody(row: str, seen: bool) -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key, other = await own.keys.make("ci", READ), await own.keys.make("deploy", READ)
            if seen:
                assert await own.keys.find(key) is not None
                assert await own.keys.find(other) is not None

            assert await own.keys.find(WRONG[row](key, other)) is None
            assert own.pauses, "It was refused sooner than another mistake."

    asyncio.run(story())


def test_the_hash_that_is_kept_opens_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as own:
            key = await own.keys.make("ci", READ)
            kept = str(
                sqlite3.connect(tmp_path / "a").execute("SELECT value FROM records").fetchall()
            )
            hash = kept[kept.index("$argon2id") : kept.index('","made_at')]
            tail = hash.rpartition("$")[2]

            assert await own.keys.find(key[:21] + hash) is None
            assert await own.keys.find((key[:21] + tail.ljust(43, "A"))[:64]) is None

    asyncio.run(story())


def test_a_key_is_its_program_with_its_scopes_and_its_tenant() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("night-shift_2", ["instances:start", *READ], "acme")
            actor = await own.keys.find(key)

            assert actor is not None
            assert (actor.id, actor.agent, actor.tenant) == ("key:night-shift_2", True, "acme")
            assert actor.scopes == ["instances:read", "instances:start"]
            assert (actor.roles, actor.groups, actor.queues) == ([], [], None)

    asyncio.run(story())


# Time.


async def expired(own: Opened, key: str) -> None:
    own.later(days=10)


async def revoked(own: Opened, key: str) -> None:
    await own.keys.revoke("ci")


async def revoked_and_made_again(own: Opened, key: str) -> None:
    await own.keys.revoke("ci")
    await own.keys.make("ci", READ)


async def rotated_beyond_the_overlap(own: Opened, key: str) -> None:
    await own.keys.rotate("ci", 2)
    own.later(hours=2)


async def rotated_at_once(own: Opened, key: str) -> None:
    await own.keys.rotate("ci", 0)


async def rotated_twice_and_then_at_once(own: Opened, key: str) -> None:
    await own.keys.rotate("ci", 24)
    await own.keys.rotate("ci", 0)


async def rotated_with_an_overlap_beyond_its_end(own: Opened, key: str) -> None:
    own.later(days=9)
    await own.keys.rotate("ci", 48)
    own.later(days=1)


ENDS = [
    expired,
    revoked,
    revoked_and_made_again,
    rotated_beyond_the_overlap,
    rotated_at_once,
    rotated_twice_and_then_at_once,
    rotated_with_an_overlap_beyond_its_end,
]


@pytest.mark.slow
@pytest.mark.parametrize("seen", [False, True], ids=["never seen", "seen before"])
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_what_has_ended_opens_nothing_here_or_in_another_process(
    tmp_path: Path, end: Callable[[Opened, str], object], seen: bool
) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as own, opened(tmp_path / "a", own.clock) as server:
            key = await own.keys.make("ci", READ, days=10)
            if seen:
                assert await own.keys.find(key) is not None
                assert await server.keys.find(key) is not None

            await end(own, key)  # type: ignore[misc]

            assert await own.keys.find(key) is None
            assert await server.keys.find(key) is None

    asyncio.run(story())


def test_a_key_works_to_its_last_moment_and_a_rotated_one_through_its_overlap() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            first = await own.keys.make("ci", READ, days=10)
            own.later(days=10, microseconds=-1)
            assert await own.keys.find(first) is not None

            second = await own.keys.rotate("ci")  # which starts the ten days anew
            own.later(days=9)
            assert await own.keys.find(first) is None
            third = await own.keys.rotate("ci")
            own.later(hours=24, microseconds=-1)
            assert await own.keys.find(second) is not None
            own.later(microseconds=1)
            assert await own.keys.find(second) is None
            assert await own.keys.find(third) is not None

    asyncio.run(story())


def test_an_expired_key_is_shown_as_such_and_lives_again_when_it_is_rotated() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            await own.keys.make("ci", READ, days=1)
            own.later(days=1)
            assert [view.status for view in await own.keys.all()] == ["expired"]

            key = await own.keys.rotate("ci")
            (view,) = await own.keys.all()

            assert await own.keys.find(key) is not None
            assert (view.status, view.old_until, len(view.ids)) == ("valid", None, 1)

    asyncio.run(story())


# What may be made.


@pytest.mark.parametrize(
    ("name", "scopes", "tenant", "days", "error"),
    [
        ("", READ, "", 1, InvalidIdError),
        ("a" * 61, READ, "", 1, InvalidIdError),
        ("CI", READ, "", 1, InvalidIdError),
        ("c i", READ, "", 1, InvalidIdError),
        ("ci\n", READ, "", 1, InvalidIdError),
        ("c/i", READ, "", 1, InvalidIdError),
        ("key:ci", READ, "", 1, InvalidIdError),
        ("caf\u00e9", READ, "", 1, InvalidIdError),
        ("ci\x1b[31m", READ, "", 1, InvalidIdError),
        ("ci", [], "", 1, InvalidSettingError),
        ("ci", ["everything"], "", 1, InvalidSettingError),
        ("ci", ["*"], "", 1, InvalidSettingError),
        ("ci", [*READ, "Instances:Read"], "", 1, InvalidSettingError),
        ("ci", READ, "acme ", 1, InvalidIdError),
        ("ci", READ, "acme\n", 1, InvalidIdError),
        ("ci", READ, "**", 1, InvalidIdError),
        ("ci", READ, "", 0, InvalidSettingError),
        ("ci", READ, "", -1, InvalidSettingError),
        ("ci", READ, "", 731, InvalidSettingError),
        ("ci", READ, "", 10**9, InvalidSettingError),
    ],
)
def test_what_no_key_may_be_is_refused_and_leaves_nothing(
    name: str, scopes: list[str], tenant: str, days: int, error: type[Exception]
) -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            with pytest.raises(error):
                await own.keys.make(name, scopes, tenant, days)
            assert await own.keys.all() == []

    asyncio.run(story())


@pytest.mark.parametrize("hours", [-1, float("nan"), float("inf"), 30 * 24 + 1])
def test_no_overlap_is_for_ever(hours: float) -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            with pytest.raises(InvalidSettingError):
                await own.keys.rotate("ci", hours)
            assert await own.keys.find(key) is not None

    asyncio.run(story())


def test_a_key_without_days_ends_after_a_year() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            await own.keys.make("ci", READ)
            (view,) = await own.keys.all()
            assert view.ends_at - view.made_at == timedelta(days=365)

    asyncio.run(story())


def test_of_two_who_make_the_same_key_one_does(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as one, opened(tmp_path / "a") as two:
            made = await asyncio.gather(
                *(each.keys.make("ci", READ) for each in [one, two] * 3), return_exceptions=True
            )
            works = [key for key in made if isinstance(key, str)]
            assert len(works) == 1
            assert sum(isinstance(each, KeyExistsError) for each in made) == 5
            assert await one.keys.find(works[0]) is not None
            assert await one.records.all("key-ids", str) == {parts(works[0])[0]: "ci"}

    asyncio.run(story())


def test_what_is_not_there_is_neither_rotated_nor_revoked() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            with pytest.raises(KeyNotFoundError):
                await own.keys.rotate("ci")
            with pytest.raises(KeyNotFoundError):
                await own.keys.revoke("ci")
            assert await own.records.all("key-ids", str) == {}

    asyncio.run(story())


def test_rotating_without_end_does_not_pile_up_secrets() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            last = await own.keys.make("ci", READ)
            for _ in range(keys_room.LIVE_SECRETS - 1):
                last = await own.keys.rotate("ci")
            with pytest.raises(InvalidSettingError, match="overlap-hours 0"):
                await own.keys.rotate("ci")
            assert await own.keys.find(last) is not None
            await own.keys.rotate("ci", 0)
            assert len(await own.records.all("key-ids", str)) == 1

    asyncio.run(story())


# What it costs, and whom.


def test_a_key_that_was_checked_is_not_hashed_again_and_a_wrong_one_never() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            for _ in range(5):
                assert await own.keys.find(key) is not None
            for number in range(50):
                assert await own.keys.find(swapped(key, -1 - number % 40)) is None
            assert own.hasher.looked == 1

    asyncio.run(story())


def test_many_who_come_at_once_with_one_key_cost_one_hash() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            found = await asyncio.gather(*(own.keys.find(key) for _ in range(50)))
            assert all(actor is not None for actor in found)
            assert own.hasher.looked == 1

    asyncio.run(story())


def test_whoever_hangs_up_does_not_take_the_answer_from_the_others() -> None:
    class Telling(CountingHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            loop.call_soon_threadsafe(begun.set)
            assert go_on.wait(10)
            return super().verify(hash, password)

    async def story() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with opened(":memory:", hasher=Telling()) as own:
            key = await own.keys.make("ci", READ)
            first, second = (asyncio.create_task(own.keys.find(key)) for _ in range(2))
            await begun.wait()
            first.cancel()
            await asyncio.wait([first])
            go_on.set()
            assert await second is not None

    loop: asyncio.AbstractEventLoop
    begun, go_on = asyncio.Event(), threading.Event()

    asyncio.run(story())


def test_wrong_secrets_for_one_id_are_looked_at_ten_times_a_minute() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key, other = await own.keys.make("ci", READ), await own.keys.make("deploy", READ)
            for number in range(40):
                assert await own.keys.find(swapped(key, -1 - number)) is None
            assert own.hasher.looked == CHECKS_A_MINUTE
            assert await own.keys.find(other) is not None  # nobody else pays for it

            own.later(seconds=60)
            assert await own.keys.find(key) is not None

    asyncio.run(story())


def test_a_key_in_use_works_on_while_somebody_guesses() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            assert await own.keys.find(key) is not None
            for number in range(40):
                assert await own.keys.find(swapped(key, -1 - number)) is None
            assert await own.keys.find(key) is not None

    asyncio.run(story())


def test_no_mistake_takes_another_time_than_another() -> None:
    """Each is answered once the same span has passed, whatever was looked at."""

    async def story() -> None:
        async with opened(":memory:") as own:
            key = await own.keys.make("ci", READ)
            old = await own.keys.make("old", READ, days=1)
            own.later(days=2)
            for text in ("adj_" + "0" * 16 + key[20:], swapped(key, -1), old):
                asked = len(own.pauses)
                begun = asyncio.get_running_loop().time()
                assert await own.keys.find(text) is None
                spent = asyncio.get_running_loop().time() - begun
                (paused,) = own.pauses[asked:]
                assert paused <= keys_room.REFUSED_SECONDS <= paused + spent

    asyncio.run(story())


class Crowded(CountingHasher):
    """Sees how many are hashed at once, and on which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Barrier(HASHES_AT_ONCE + 1)
        self.crowded = False
        self.threads: set[int] = set()

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:
        self.threads.add(threading.get_ident())
        try:
            self.gate.wait(0.2)  # passes if one more is here than may be
            self.crowded = True
        except threading.BrokenBarrierError:
            pass
        return super().verify(hash, password)


@pytest.mark.slow
def test_hashing_is_done_beside_the_loop_and_never_much_at_once() -> None:
    async def story() -> None:
        hasher = Crowded()
        with ThreadPoolExecutor(8) as pool:
            asyncio.get_running_loop().set_default_executor(pool)
            async with opened(":memory:", hasher=hasher) as own:
                made = [await own.keys.make(f"k{number}", READ) for number in range(6)]
                found = await asyncio.gather(*(own.keys.find(key) for key in made))
        assert all(actor is not None for actor in found)
        assert not hasher.crowded
        assert threading.get_ident() not in hasher.threads

    asyncio.run(story())


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(keys_room, "REMEMBERED", 2)
        async with opened(":memory:") as own:
            made = [await own.keys.make(f"k{number}", READ) for number in range(3)]
            for key in [*made, made[0]]:
                assert await own.keys.find(key) is not None
            assert own.hasher.looked == 4  # the first had been forgotten

    asyncio.run(story())


# When it was used.


def test_the_last_use_is_written_once_a_minute(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as own:
            key = await own.keys.make("ci", READ)
            begun = own.clock.now()
            with sqlite3.connect(tmp_path / "a") as watcher:
                watcher.execute("CREATE TABLE writes (n INTEGER)")
                watcher.execute(
                    "CREATE TRIGGER noted AFTER UPDATE ON records "
                    "BEGIN INSERT INTO writes VALUES (1); END"
                )

            def writes() -> int:
                return watcher.execute("SELECT count(*) FROM writes").fetchone()[0]

            await asyncio.gather(*(own.keys.find(key) for _ in range(20)))
            own.later(seconds=59)
            await own.keys.find(key)
            assert writes() == 1
            assert (await own.keys.all())[0].used_at == begun

            own.later(seconds=1)
            await own.keys.find(key)
            assert writes() == 2
            assert (await own.keys.all())[0].used_at == begun + timedelta(minutes=1)
            watcher.close()

    asyncio.run(story())


def test_a_use_that_cannot_be_written_keeps_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a") as own:
            key = await own.keys.make("ci", READ)
            with sqlite3.connect(tmp_path / "a") as other:
                other.execute(
                    "CREATE TRIGGER full BEFORE UPDATE ON records "
                    "BEGIN SELECT RAISE(ABORT, 'no room'); END"
                )
            other.close()
            assert await own.keys.find(key) is not None

    asyncio.run(story())
    assert "no room" in caplog.text and "adj_" not in caplog.text


# What it gives away.


def bytes_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_neither_file_nor_log_nor_object_holds_a_secret(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []

    async def story() -> str:
        async with opened(tmp_path / "a") as own:
            key = await own.keys.make("ci", ["instances:start"])
            await own.keys.find(key)
            await own.keys.find(swapped(key, 30))
            new = await own.keys.rotate("ci")
            await own.keys.find(new)
            told.extend([repr(vars(own.keys)), repr(await own.keys.all())])
            told.append(repr(await own.keys.find(new)))
            digest = sha256(parts(new)[1].encode())
            files = bytes_of(tmp_path)
            for secret in (parts(key)[1], parts(new)[1], digest.hexdigest()):
                assert secret.encode() not in files
                assert secret not in caplog.text + "".join(told)
            assert digest.digest() not in files
            assert b"$argon2id$" in files  # the WAL was read, too
            assert not any("argon2id" in text for text in told[1:])
            return key

    asyncio.run(story())


@pytest.mark.slow
def test_a_crash_between_making_and_printing_loses_the_secret_and_nothing_else(
    tmp_path: Path,
) -> None:
    program = """if True:
        import os, signal, sys
        from adjourn.cli import keys, main
        keys.print = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        main(["keys", "make", "ci", "--scope", "instances:read", "--db", sys.argv[1]])
    """
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a.db")], capture_output=True, timeout=60
    )
    assert (killed.returncode, killed.stdout) == (-signal.SIGKILL, b"")

    async def story() -> None:
        async with opened(tmp_path / "a.db.access") as own:
            assert [view.name for view in await own.keys.all()] == ["ci"]
            with pytest.raises(KeyExistsError, match="rotate ci"):
                await own.keys.make("ci", READ)
            key = await own.keys.rotate("ci", 0)
            assert await own.keys.find(key) is not None

    asyncio.run(story())


# Where a request carries it.


@pytest.mark.parametrize(
    ("lines", "key"),
    [
        ([], None),
        ([("authorization", "Bearer K")], "K"),
        ([("Authorization", "bearer K")], "K"),
        ([("authorization", "Basic K")], ""),
        ([("authorization", "K")], ""),
        ([("authorization", "")], ""),
        ([("authorization", "Bearer")], ""),
        ([("authorization", "Bearer\tK")], ""),
        ([("authorization", "BearerK")], ""),
        ([("authorization", "Token K")], ""),
        ([("authorization", "Bearer K"), ("authorization", "Bearer K")], ""),
        ([("authorization", "Bearer K"), ("Authorization", "Bearer L")], ""),
        ([("authorization", "Basic L"), ("authorization", "Bearer K")], ""),
        ([("proxy-authorization", "Bearer K")], None),
        ([("x-authorization", "Bearer K")], None),
        ([("x-api-key", "K")], None),
        ([("x-functions-key", "K")], None),
        ([("cookie", "authorization=Bearer K; key=K")], None),
    ],
)
def test_a_key_stands_in_one_place(lines: list[tuple[str, str]], key: str | None) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in lines]
    assert key_in(Headers(raw=raw)) == key


def test_every_scope_can_be_given() -> None:
    async def story() -> None:
        async with opened(":memory:") as own:
            actor = await own.keys.find(await own.keys.make("all", reversed(ALL)))
            assert actor is not None and actor.scopes == [*ALL]

    asyncio.run(story())
