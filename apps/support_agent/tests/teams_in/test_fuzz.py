"""Whatever comes in: nothing gives 500, and the application hears valid values only."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from apps.support_agent.tests.teams_in.connector import (
    BOT,
    SERVICE,
    activity,
    decision,
    execute,
    in_group,
    mention,
    message,
    token,
)
from apps.support_agent.tests.teams_in.place import MESSAGES, Place, check_valid

pytestmark = pytest.mark.slow

ANSWERS = {200, 400, 401, 501}
BASES = [
    message(),
    message("<at>Support</at> hi", entities=[mention()], conversation=in_group("channel")),
    message(None, attachments=[{"contentType": "image/png"}]),
    activity("conversationUpdate", membersAdded=[{"id": BOT}]),
    activity("conversationUpdate", membersRemoved=[{"id": BOT}]),
    activity("installationUpdate", action="add"),
    activity("installationUpdate", action="remove"),
    activity("typing"),
    execute(),
    execute(decision(action="reject", comment="No.")),
    execute(decision(action="refresh")),
]
# Odd on purpose: halves of characters, controls, mentions, ids of our own.
ODD = [BOT, SERVICE, "message", "<at>Support</at>", "<at>", "\ud800", "\x00", "9" * 600]
TEXTS = st.text(max_size=60) | st.text(st.characters(), max_size=20) | st.sampled_from(ODD)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS
JSON: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def _inner(held: Any) -> list[tuple[Any, Any]]:
    match held:
        case dict():
            return list(held.items())
        case list():
            return list(enumerate(held))
        case _:
            return []


def _paths(held: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return [path, *(deeper for key, each in _inner(held) for deeper in _paths(each, (*path, key)))]


def _replaced(held: Any, path: tuple[Any, ...], new: Any, keep: bool) -> Any:
    """A copy with another value at this place; of two objects `keep` makes one."""
    if path:
        copy = held.copy()
        copy[path[0]] = _replaced(held[path[0]], path[1:], new, keep)
        return copy
    return held | new if keep and isinstance(held, dict) and isinstance(new, dict) else new


@st.composite
def odd_activities(draw: st.DrawFn) -> Any:
    """An activity as Teams sends it, but for one to four of its values."""
    held: Any = draw(st.sampled_from(BASES))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(_paths(held)))
        held = _replaced(held, path, draw(JSON), draw(st.booleans()))
    return held


class Door:
    """An endpoint, and how often what was sent there has come as far as the application."""

    def __init__(self, place: Place, service_url: str) -> None:
        self._place = place
        self.service_url = service_url
        self.told = 0

    def check(self, content: bytes) -> None:
        """Sends it with a good token, at which local mode does not look."""
        inbound = self._place.inbound
        inbound.forget()
        sent = {"content-type": "application/json", "authorization": f"Bearer {TOKEN}"}

        answer = self._place.http.post(MESSAGES, content=content, headers=sent)

        assert answer.status_code in ANSWERS, answer.status_code
        check_valid(inbound)
        self.told += inbound.calls


TOKEN = token()
EXAMPLES = 250
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    # One endpoint for all examples: it keeps nothing between requests.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(params=[("place", SERVICE), ("local", "http://127.0.0.1:56150/")])
def door(request: pytest.FixtureRequest) -> Door:
    name, service_url = request.param
    return Door(request.getfixturevalue(name), service_url)


@pytest.mark.slow
@FUZZ
@given(body=JSON)
def test_any_json(door: Door, body: Any) -> None:
    door.check(json.dumps(body).encode())


@pytest.fixture
def heard(door: Door) -> Iterator[Door]:
    """Some of what was sent must be so little odd that the application heard of it."""
    yield door
    assert door.told > EXAMPLES / 10


@pytest.mark.slow
@FUZZ
@given(held=odd_activities())
@example(held=message("<at>" * 20_000))
@example(held=message(" " * 60_000 + "<at>"))
@example(held=message("<at>" + "<at>x</at>" * 5_000, entities=[mention(text="<at>x</at>")] * 200))
@example(held=execute({f"field.{number}": "1" for number in range(5_000)} | decision()))
@example(held=execute(decision(version="\N{ARABIC-INDIC DIGIT THREE}")))
def test_odd_activities(heard: Door, held: Any) -> None:
    if isinstance(held, dict) and held.get("serviceUrl") == SERVICE:
        held = {**held, "serviceUrl": heard.service_url}
    heard.check(json.dumps(held).encode())


@pytest.mark.slow
@FUZZ
@given(body=st.binary(max_size=200))
def test_any_bytes(door: Door, body: bytes) -> None:
    door.check(body)
