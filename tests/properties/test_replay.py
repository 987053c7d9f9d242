"""A live execution and one rebuilt from any prefix of its history are the same thing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adjourn.model.commands import Command, event_of
from adjourn.model.events import Arrived, Asked
from adjourn.replay.execution import Execution
from adjourn.replay.rebuild import rebuild, run_turn
from tests.histories import bodies, kinds
from tests.properties.profiles import examples
from tests.properties.programs import Program, app, programs, run_program
from tests.properties.worlds import INSTANCE_ID, Life, World, shown

ROOT = Path(__file__).parents[2]
choices = st.lists(st.integers(0, 10_000), min_size=12, max_size=30)


def rebuilt(life: Life, rows: int, turned: int | None = None) -> tuple[Execution, list[Command]]:
    turned = rows if turned is None else turned
    return rebuild(app, run_program, INSTANCE_ID, life.number, life.rows[:rows], turned)


def check_every_prefix(life: Life) -> None:
    for index, turn in enumerate(life.turns):
        execution, asked = rebuilt(life, turn.end)

        assert asked == []
        assert shown(execution) == turn.shown
        rows = life.rows[: turn.end]
        for later in life.turns[index + 1 :]:
            rows += run_turn(execution, later.arrived, later.at)
            assert shown(execution) == later.shown
        assert bodies(rows) == bodies(life.rows)
        execution.close()


@pytest.mark.slow
@examples(100)
@given(programs(), choices)
def test_every_prefix_goes_on_as_the_live_execution_did(program: Program, drawn: list[int]) -> None:
    world = World(program).play(drawn)

    for life in world.lives:
        check_every_prefix(life)
    world.close()


def arrivals_after(life: Life, first: int) -> list[Arrived]:
    return [event for turn in life.turns[first:] for event in turn.arrived]


@given(programs(), choices, st.data())
def test_what_came_during_a_quarantine_causes_the_same_afterwards(
    program: Program, drawn: list[int], data: st.DataObject
) -> None:
    world = World(program).play(drawn)
    life = world.life
    kept = data.draw(st.integers(0, len(life.turns) - 1))
    end = life.turns[kept].end

    history = [*life.rows[:end], *arrivals_after(life, kept + 1)]
    execution, asked = rebuild(app, run_program, INSTANCE_ID, life.number, history, end)

    recorded = [row for row in life.rows[end:] if isinstance(row, Asked)]
    times = [row.at for row in recorded]
    assert kinds([event_of(command, world.now) for command in asked]) == kinds(recorded)
    assert bodies([event_of(*both) for both in zip(asked, times, strict=True)]) == bodies(recorded)
    assert shown(execution) == life.turns[-1].shown
    again, more = rebuild(
        app,
        run_program,
        INSTANCE_ID,
        life.number,
        [*history, *(event_of(command, world.now) for command in asked)],
        len(history) + len(asked),
    )
    assert more == [] and shown(again) == life.turns[-1].shown
    for parked in (execution, again):
        parked.close()
    world.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@examples(1_500)
@given(programs(), choices)
def test_every_prefix_goes_on_as_the_live_execution_did_at_length(
    program: Program, drawn: list[int]
) -> None:
    test_every_prefix_goes_on_as_the_live_execution_did.hypothesis.inner_test(program, drawn)


# Hash seeds: nothing may depend on the order of Python's own sets.

PLAYED_ELSEWHERE = """
import hashlib, msgspec
from tests.histories import bodies
from tests.properties.programs import Program, Together, Call, Race, Wait, Timeout, Again, Sleep
from tests.properties.worlds import World
branches = [[Call("race"), Wait(name, False)] for name in "ABABABABAB"]
digest = hashlib.sha256()
for how in ("gather", "group", "wait"):
    for seed in range(15):
        steps = [Together(how, branches), Race("A", 3, 2, False, True, True), Again()]
        world = World(Program([Timeout(50, steps), *steps]))
        world.play([(seed * 7919 + n * 104729) % 9973 for n in range(40)])
        for life in world.lives:
            for body in bodies(life.rows):
                digest.update(body)
        world.close()
print(digest.hexdigest())
"""


def played_with_hash_seed(seed: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    played = subprocess.run(
        [sys.executable, "-c", PLAYED_ELSEWHERE],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert played.returncode == 0, played.stderr
    return played.stdout


@pytest.mark.slow
def test_python_hash_seeds_change_nothing() -> None:
    assert played_with_hash_seed(1) == played_with_hash_seed(2)
