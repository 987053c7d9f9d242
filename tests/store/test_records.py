"""Records in a file of their own."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from adjourn.errors import StorageError
from adjourn.store.records import Records

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Note(msgspec.Struct, frozen=True):
    words: str
    times: int = 0


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@asynccontextmanager
async def opened(path: Path | str, now: Callable[[], datetime]) -> AsyncIterator[Records]:
    records = Records(path, now)
    try:
        yield records
    finally:
        records.close()


def once_more(note: Note | None) -> Note:
    return Note("seen", 1 if note is None else note.times + 1)


def test_what_was_written_is_there_after_it_was_closed(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a", Hands()) as records:
            await records.put("notes", "b", Note("two"))
            await records.put("notes", "a", Note("one"))
            await records.put("others", "a", Note("not this"))
        async with opened(tmp_path / "a", Hands()) as records:
            assert await records.get("notes", "a", Note) == Note("one")
            assert list(await records.all("notes", Note)) == ["a", "b"]
            await records.delete("notes", "a")
            assert await records.get("notes", "a", Note) is None

    asyncio.run(story())


def test_a_record_ends() -> None:
    async def story() -> None:
        hands = Hands()
        async with opened(":memory:", hands) as records:
            await records.put("notes", "a", Note("one"), ends_at=NOON + timedelta(minutes=1))
            hands.at += timedelta(seconds=59)
            assert await records.get("notes", "a", Note) is not None
            hands.at += timedelta(seconds=1)
            assert await records.get("notes", "a", Note) is None
            assert await records.all("notes", Note) == {}
            assert await records.take("notes", "a", Note) is None
            await records.put("notes", "b", Note("two"), ends_at=NOON)
            assert await records.add("notes", "b", Note("anew"))
            await records.put("notes", "c", Note("three"), ends_at=NOON)
            assert (await records.change("notes", "c", Note, once_more)) == Note("seen", 1)
            assert await records.get("notes", "c", Note) == Note("seen", 1)
            await records.put("notes", "d", Note("four"), ends_at=NOON)
            assert await records.sweep() == 1

    asyncio.run(story())


def test_a_change_keeps_the_end_it_had() -> None:
    async def story() -> None:
        hands = Hands()
        async with opened(":memory:", hands) as records:
            await records.put("notes", "a", Note("one"), ends_at=NOON + timedelta(minutes=1))
            await records.change("notes", "a", Note, once_more)
            hands.at += timedelta(minutes=1)
            assert await records.get("notes", "a", Note) is None

    asyncio.run(story())


def test_of_two_processes_one_adds_and_one_takes(tmp_path: Path) -> None:
    """Two connections stand for them: each has its own."""

    async def story() -> None:
        path = tmp_path / "a"
        async with opened(path, Hands()) as first, opened(path, Hands()) as second:
            added = await asyncio.gather(
                *(each.add("links", "a", Note("x")) for each in [first, second] * 5)
            )
            assert sum(added) == 1
            await asyncio.gather(
                *(each.change("notes", "n", Note, once_more) for each in [first, second] * 20)
            )
            assert await first.get("notes", "n", Note) == Note("seen", 40)
            taken = await asyncio.gather(
                *(each.take("links", "a", Note) for each in [first, second] * 5)
            )
            assert sum(each is not None for each in taken) == 1

    asyncio.run(story())


def test_a_change_that_fails_changes_nothing() -> None:
    def broken(note: Note | None) -> Note:
        raise ZeroDivisionError

    async def story() -> None:
        async with opened(":memory:", Hands()) as records:
            await records.put("notes", "a", Note("one"))
            with pytest.raises(ZeroDivisionError):
                await records.change("notes", "a", Note, broken)
            assert await records.get("notes", "a", Note) == Note("one")
            await records.change("notes", "a", Note, lambda note: None)
            assert await records.get("notes", "a", Note) is None

    asyncio.run(story())


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX's")
def test_nobody_else_reads_the_file(tmp_path: Path) -> None:
    def modes() -> set[int]:
        return {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}

    async def story() -> None:
        async with opened(tmp_path / "a", Hands()) as records:
            await records.put("notes", "a", Note("one"))
            assert modes() == {0o600}

    asyncio.run(story())


def test_a_file_that_is_none_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"no database, but long enough to be read as one" * 20)
    with pytest.raises(StorageError, match="not a database"):
        Records(tmp_path / "a", Hands())
    with pytest.raises(StorageError, match="cannot be written"):
        Records(tmp_path / "no" / "folder", Hands())


def test_what_was_deleted_is_nowhere_in_the_file(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(tmp_path / "a", Hands()) as records:
            for number in range(50):
                await records.put("sessions", str(number), Note(f"canary-{number}"))
        assert b"canary-7" in (tmp_path / "a").read_bytes()
        async with opened(tmp_path / "a", Hands()) as records:
            for number in range(50):
                await records.delete("sessions", str(number))

    asyncio.run(story())

    for file in tmp_path.iterdir():
        assert b"canary" not in file.read_bytes()


def test_where_there_are_as_many_as_may_be_those_that_end_first_make_room(tmp_path: Path) -> None:
    async def story() -> None:
        hands = Hands()
        async with opened(tmp_path / "a", hands) as records:
            await records.put("others", "o", Note("not of these"), ends_at=NOON + timedelta(1))
            for number in (5, 1, 4, 2, 3):
                ends_at = NOON + timedelta(minutes=number)
                await records.put("notes", str(number), Note("x"), ends_at=ends_at, most=3)
            assert list(await records.all("notes", Note)) == ["3", "4", "5"]
            # Over one that is there nobody makes room; what has ended counts for nothing.
            await records.put("notes", "4", Note("y"), ends_at=NOON + timedelta(minutes=4), most=3)
            assert list(await records.all("notes", Note)) == ["3", "4", "5"]
            hands.at = NOON + timedelta(minutes=3)
            later = NOON + timedelta(hours=1)
            await records.put("notes", "6", Note("z"), ends_at=later, most=3)
            assert list(await records.all("notes", Note)) == ["4", "5", "6"]
            assert await records.get("others", "o", Note) is not None

    asyncio.run(story())
