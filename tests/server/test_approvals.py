"""Approvals over HTTP: who acts is what the server knows, and never what a body says."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from adjourn.approvals.people import COOKIE, DEMO_PEOPLE, LocalPeople, Person
from tests.approvals.workflows import World, make_app
from tests.server.serving import Serving

ID = "case-1:1:1"


@pytest.fixture
def http(tmp_path: Path) -> Iterator[httpx.Client]:
    people = LocalPeople([*DEMO_PEOPLE, Person(id="nora", name="Nora", groups=["finance"])])
    serving = Serving(tmp_path / "cases.db", make_app(World()), people)
    with httpx.Client(base_url=serving.address, trust_env=False, timeout=10) as client:
        started = client.post(
            "/api/v1/instances/case-1",
            params={"orchestrator": "refund"},
            json=str(Decimal(100)),
        )
        assert started.status_code == 201
        yield client
    serving.stop()


def act(http: httpx.Client, person: str, **action: object) -> httpx.Response:
    cookies = {"cookie": f"{COOKIE}={person}"} if person else {}
    return http.post(f"/api/v1/approvals/{ID}/actions", json=action, headers=cookies)


@pytest.mark.slow
def test_the_signed_in_person_decides_and_the_next_is_told_who_did(http: httpx.Client) -> None:
    answer = act(http, "grace", do="approve", version=1)
    assert answer.status_code == 200 and answer.json()["status"] == "approved"

    late = act(http, "grace", do="approve", version=1)
    assert late.status_code == 409
    assert late.json()["facts"]["details"]["by"] == ["grace"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("person", "action", "status"),
    [
        ("", {"do": "approve", "version": 1}, 401),
        ("nobody", {"do": "approve", "version": 1}, 401),
        ("lena", {"do": "approve", "version": 1}, 403),
        ("sam", {"do": "approve", "version": 1}, 403),
        ("ivo", {"do": "claim", "version": 1}, 403),
        ("grace", {"do": "approve", "version": 7}, 409),
        ("grace", {"do": "reject", "version": 1, "reason": ""}, 422),
        ("grace", {"do": "approve", "version": 1, "changes": {"amount": "9999"}}, 422),
        ("grace", {"do": "dance", "version": 1}, 422),
        ("grace", {"do": "approve"}, 422),
    ],
)
def test_what_may_not_be_is_refused(
    http: httpx.Client, person: str, action: dict[str, object], status: int
) -> None:
    assert act(http, person, **action).status_code == status
    seen = http.get(f"/api/v1/approvals/{ID}", headers={"cookie": f"{COOKIE}=ivo"}).json()
    assert seen["state"].get("version", 1) == 1 and seen["row"].get("status", "open") == "open"


@pytest.mark.slow
def test_a_hand_made_update_claims_no_identity(http: httpx.Client) -> None:
    body = {"do": "approve", "version": 1, "by": {"id": "grace", "roles": ["lead"]}}
    answer = http.post(f"/api/v1/instances/{ID}/updates/act", params={"updateId": "u-1"}, json=body)
    assert answer.status_code == 403
    assert answer.json()["facts"]["details"]["rule"] == "signed_in"


@pytest.mark.slow
def test_the_inbox_is_the_callers_own(http: httpx.Client) -> None:
    def ids(person: str, **query: str) -> list[str]:
        answer = http.get("/api/v1/inbox", params=query, headers={"cookie": f"{COOKIE}={person}"})
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["rows"]]

    assert ids("grace") == [ID]
    assert ids("lena") == []
    assert ids("lena", view="all") == [ID]
    assert ids("nora") == [ID]  # no role, but addressed
    mine = {"cookie": f"{COOKIE}=nora"}
    assert http.get("/api/v1/inbox", params={"view": "all"}, headers=mine).status_code == 422
    assert http.get("/api/v1/inbox").status_code == 401
    wrong = http.get("/api/v1/inbox", params={"view": "x"}, headers={"cookie": f"{COOKIE}=ivo"})
    assert wrong.status_code == 422
