"""Values over the API: as they are for programs and administrators, redacted for everybody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from adjourn.approvals.people import LocalPeople, Person
from adjourn.server.requests import SHOWN_HEADER
from tests.server.serving import Serving

CANARY = "canary-90af"
BASE = "/runtime/webhooks/durabletask"
PEOPLE = [
    Person(id="lena", name="Lena", roles=["approver"]),
    Person(id="max", name="Max", roles=["lead", "approver"]),
    Person(id="ivo", name="Ivo", roles=["auditor"]),
    Person(id="ada", name="Ada", roles=["admin"]),
]
GIVEN = {"password": CANARY, "note": f"token={CANARY}"}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    path = tmp_path_factory.mktemp("served") / "cases.db"
    made = Serving(path, people=LocalPeople(PEOPLE))
    with httpx.Client(base_url=made.address, trust_env=False, timeout=10) as http:
        sent = [
            ("/api/v1/instances/case?orchestrator=approve", GIVEN),
            ("/api/v1/instances/case/events/Other", GIVEN),
            ("/api/v1/instances/talk?orchestrator=any_event", "Go"),
            ("/api/v1/instances/talk/events/Go", GIVEN),
            ("/api/v1/instances/told?orchestrator=fail", f"password={CANARY}"),
        ]
        for path, body in sent:
            assert http.post(path, json=body).is_success
        assert http.get("/api/v1/instances/told/result").is_success
    yield made
    made.stop()


def asked(serving: Serving, path: str, person: str, **headers: str) -> str:
    cookies = {"adjourn-person": person} if person else {}
    with httpx.Client(base_url=serving.address, trust_env=False, cookies=cookies) as http:
        answer = http.get(path, headers=headers)
        assert answer.is_success, answer.text
        return answer.text


PATHS = [
    "/api/v1/instances/case",
    "/api/v1/instances/case/history",
    "/api/v1/instances",
    "/api/v1/instances/talk/result",
    "/api/v1/instances/told",
    f"{BASE}/instances/case",
    f"{BASE}/instances/case?showHistory=true&showHistoryOutput=true",
    f"{BASE}/instances",
    f"{BASE}/instances/talk",
]


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("person", ["lena", "max", "ivo"])
def test_a_person_is_not_shown_what_is_hidden(serving: Serving, path: str, person: str) -> None:
    text = asked(serving, path, person)

    assert CANARY not in text and "[redacted]" in text


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("person", ["", "ada"])
def test_programs_and_administrators_get_it_as_it_is(
    serving: Serving, path: str, person: str
) -> None:
    text = asked(serving, path, person)

    assert CANARY in text


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("person", ["", "ada"])
def test_unless_they_ask_for_what_people_are_shown(
    serving: Serving, path: str, person: str
) -> None:
    text = asked(serving, path, person, **{SHOWN_HEADER: "yes"})

    assert CANARY not in text and "[redacted]" in text


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_nobody_asks_for_more_than_they_are_shown(serving: Serving, path: str) -> None:
    assert CANARY not in asked(serving, path, "lena", **{SHOWN_HEADER: "no"})


@pytest.mark.slow
def test_one_who_waits_beside_another_gets_their_own_answer(serving: Serving) -> None:
    """Requests for the same result share one wait, and not what becomes of it."""
    path = "/api/v1/instances/talk/result"

    told: list[Any] = [asked(serving, path, person) for person in ("", "lena", "ada", "ivo")]

    assert [CANARY in text for text in told] == [True, False, True, False]
