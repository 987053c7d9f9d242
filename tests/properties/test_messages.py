"""No message is ever lost or delivered twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.properties.profiles import examples
from tests.properties.programs import Program, Wait, programs
from tests.properties.worlds import World

choices = st.lists(st.integers(0, 10_000), min_size=12, max_size=40)


def check_messages(world: World) -> None:
    found = Counter(str(value) for value in world.consumed())
    found.update(world.set_aside())
    found.update(world.left())

    assert found == Counter(str(value) for value in world.sent)
    assert max(Counter(world.answers()).values(), default=1) == 1


@pytest.mark.slow
@examples(150)
@given(programs(only_waits=True), choices)
def test_every_event_is_given_once_to_a_live_wait_or_still_there(
    program: Program, drawn: list[int]
) -> None:
    world = World(program)
    for choice in drawn:
        world.play([choice])
        check_messages(world)
        assert not world.starving()
    world.close()


@given(programs(), choices)
def test_every_event_is_given_once_or_still_there_among_other_work(
    program: Program, drawn: list[int]
) -> None:
    world = World(program).play(drawn)

    check_messages(world)
    world.close()


@given(choices)
def test_a_single_reader_gets_the_events_of_a_name_in_order_of_arrival(drawn: list[int]) -> None:
    readers = Program([Wait(name, False) for name in "ABABAB"])
    world = World(readers).play(drawn)

    numbers = [int(str(value).lstrip("s")) for value in world.consumed()]
    assert numbers[0::2] == sorted(numbers[0::2]) and numbers[1::2] == sorted(numbers[1::2])
    world.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
@examples(3_000)
@given(programs(only_waits=True), choices)
def test_every_event_is_given_once_or_still_there_at_length(
    program: Program, drawn: list[int]
) -> None:
    test_every_event_is_given_once_to_a_live_wait_or_still_there.hypothesis.inner_test(
        program, drawn
    )
