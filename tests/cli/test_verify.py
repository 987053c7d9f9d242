"""`adjourn verify` reads a file and names what is broken in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from adjourn import Adjourn, Context
from adjourn.cli import main
from adjourn.cli.exits import OTHER, UNREACHABLE
from adjourn.testing import Sandbox

app = Adjourn()


@app.orchestrator
async def rounds(ctx: Context, left: int) -> str:
    await ctx.wait_for_external_event("Go")
    if left:
        ctx.continue_as_new(left - 1)
    return "done"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "one.db"
    with Sandbox(app, str(path)) as box:
        for id in ("case-1", "case-2"):
            box.start(rounds, 2, id=id)
            box.raise_event(id, "Go")
    return path


def tamper(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as db:
        for name in ("update", "delete"):
            db.execute(f"DROP TRIGGER history_is_append_only_{name}")
        for statement in statements:
            db.execute(statement)
    db.close()


def test_a_sound_file_is_said_to_be_sound(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = file.read_bytes()

    assert main(["verify", str(file)]) == 0

    assert "4 executions" in capsys.readouterr().out
    assert file.read_bytes() == before


def test_it_reads_beside_an_engine_that_owns_the_file(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Sandbox(app, str(file)) as box:
        box.raise_event("case-1", "Go")
        assert main(["verify", str(file)]) == 0
    assert "5 executions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE history SET body = replace(body, 'Go', 'No') WHERE number = 2", "row was changed"),
        ("DELETE FROM history WHERE instance = 1 AND execution = 1 AND number = 1", "missing"),
        ("DELETE FROM history WHERE instance = 1 AND execution = 2", "0 found"),
        ("DELETE FROM history WHERE instance = 1", "0 found"),
        ("UPDATE instances SET head = zeroblob(32) WHERE key = 1", "last row was replaced"),
        ("UPDATE instances SET length = length + 1 WHERE key = 1", "rows were written"),
    ],
)
def test_the_broken_row_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], statement: str, named: str
) -> None:
    tamper(file, statement)

    assert main(["verify", str(file)]) == OTHER

    said = capsys.readouterr()
    assert "History of 'case-1'" in said.out and named in said.out
    assert "restore the file" in said.err


def test_what_is_no_engine_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello world, no database")
    for name in ("text", "missing"):
        assert main(["verify", str(tmp_path / name)]) == UNREACHABLE
