"""A full disk: nothing half written, new work is refused, and nothing that was done is lost."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from adjourn import Adjourn, Context, current_activity
from adjourn.engine.engine import Engine
from adjourn.engine.messages import ActivityCall, StartInstance
from adjourn.errors import StorageFullError
from adjourn.model.codec import encode
from adjourn.model.status import Status
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing import Sandbox
from adjourn.testing.clock import START
from adjourn.testing.store_contract import history_row, inserted, instance_row
from tests.store.files import add_instances, check_instance, no_room

DISK_BYTES = 2 * 1024 * 1024
LONG = "x" * 50_000


class SmallDisk:
    """A file system of two megabytes that can be filled up and emptied."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ballast = folder / "ballast"

    @contextmanager
    def full(self) -> Generator[None]:
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
        yield
        self.ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Generator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk needs the right to mount a tmpfs")
    yield SmallDisk(folder)
    subprocess.run(["umount", str(folder)], check=True)


app = Adjourn()
calls: list[str] = []


@app.activity
def effect(case: str) -> str:
    calls.append(current_activity().idempotency_key)
    return LONG


@app.orchestrator
async def case(ctx: Context, text: str) -> int:
    result = await ctx.call_activity(effect, text)
    await ctx.create_timer(timedelta(hours=1))
    answer = await ctx.wait_for_external_event("Approval")
    return len(result) + len(str(answer))


@app.orchestrator
async def guardian(ctx: Context, text: str) -> int:
    return await ctx.call_sub_orchestration(case, text, id="child")


def test_a_commit_that_meets_a_full_disk_leaves_the_file_as_it_was(disk: SmallDisk) -> None:
    store = SQLiteStore(disk.folder / "orders.db")
    add_instances(store, range(1, 4))

    with disk.full():
        for key in range(4, 8):
            with pytest.raises(StorageFullError, match="free some space"):
                store.commit(inserted(instance_row(key), history=[history_row(key, 1, LONG)]))
        for key in range(1, 4):
            check_instance(store, key)
        assert store.next_key() == 4

    add_instances(store, range(4, 8))
    store.close()
    again = SQLiteStore(disk.folder / "orders.db")
    for key in range(1, 8):
        check_instance(again, key)
    again.close()


def test_a_file_that_was_closed_on_a_full_disk_opens_again(disk: SmallDisk) -> None:
    store = SQLiteStore(disk.folder / "orders.db")
    add_instances(store, range(1, 4))
    with disk.full():
        with pytest.raises(StorageFullError):
            store.commit(inserted(instance_row(4), history=[history_row(4, 1, LONG)]))
        store.close()

    again = SQLiteStore(disk.folder / "orders.db")

    for key in range(1, 4):
        check_instance(again, key)
    again.close()


def test_new_work_is_refused_while_the_disk_is_full_and_reading_goes_on(disk: SmallDisk) -> None:
    with Sandbox(app, str(disk.folder / "orders.db")) as box:
        box.start(case, "a", id="a")
        with disk.full():
            with pytest.raises(StorageFullError):
                box.start(case, LONG, id="b")
            with pytest.raises(StorageFullError):
                box.raise_event("a", "Approval", LONG, event_id="click")
            assert box.get("a").status == "Running"
            assert len(box.list().instances) == 1
            box.history("a")

        assert box.raise_event("a", "Approval", LONG, event_id="click") == "accepted"
        assert box.raise_event("a", "Approval", LONG, event_id="click") == "duplicate"
        box.advance(hours=1)
        assert box.result("a") == 100_000
        box.start(case, LONG, id="b")


def test_the_result_of_an_activity_outlives_a_full_disk(disk: SmallDisk) -> None:
    calls.clear()
    with Sandbox(app, str(disk.folder / "orders.db"), run_activities=False) as box:
        box.start(case, "a", id="a")
        with disk.full():
            box.run_next_activity()
            assert box.get("a").running == 1
        box.advance(hours=1)
        box.raise_event("a", "Approval", "yes")

        assert box.result("a") == 50_003
        assert calls == ["a/1/1"]


def test_a_timer_that_was_due_while_the_disk_was_full_fires_afterwards(disk: SmallDisk) -> None:
    with Sandbox(app, str(disk.folder / "orders.db")) as box:
        box.start(case, "a", id="a")
        box.raise_event("a", "Approval", "yes")
        with disk.full():
            box.advance(hours=2)
            assert box.get("a").status == "Running"
        box.advance(seconds=1)

        assert box.result("a") == 50_003


class Started:
    """`Runner` that notes what it is asked to start."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def start(self, calls: Sequence[ActivityCall]) -> None:
        self.ids += [call.instance_id for call in calls]

    def cancel(self, calls: Sequence[ActivityCall]) -> None:
        raise AssertionError("Nothing is cancelled here.")


def test_a_child_whose_first_turn_met_a_full_disk_starts_afterwards() -> None:
    store, runner = SQLiteStore(":memory:"), Started()
    engine = Engine(app, store, runner)
    engine.submit(StartInstance(name="guardian", id="a", input=encode(LONG)))
    assert engine.step(START), "the child's first turn is a step of its own"

    with no_room(store):
        engine.step(START)
        child = store.find("child")
        assert child is not None and child.status is Status.PENDING
        assert runner.ids == []
    engine.step(START)

    assert runner.ids == ["child"]
    engine.memory.trim(0)
    store.close()
