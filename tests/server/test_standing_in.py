"""Somebody is away, and another one decides in their place: from the directory to the audit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from adjourn.access.links import Links
from adjourn.access.sessions import COOKIE
from tests.access.gated import NOON, Gated, sign_in
from tests.server.serving import Serving
from tests.tenants import app, ask

PEOPLE: list[dict[str, Any]] = [
    {"id": "lena", "name": "Lena Fischer", "roles": ["approver"], "groups": ["finance"]},
    {"id": "tess", "name": "Tess Tanaka", "roles": ["approver", "auditor"]},
    {"id": "uma", "name": "Uma Underhill", "roles": ["approver"]},
    {"id": "vic", "name": "Vic Vega", "roles": ["viewer"], "groups": ["finance"]},
]
ID = "case-1:1:1"


class World:
    """A server where Lena may be away."""

    def __init__(self, folder: Path) -> None:
        self.gated = Gated(folder, PEOPLE)
        self.serving = Serving(
            folder / "cases.db", app, self.gated.gate(), pages=True, clock=self.gated.clock
        )
        client = self.serving._client
        work = client.start(ask, ["none", "finance"], id="case-1")
        asyncio.run_coroutine_threadsafe(work, self.serving.loop).result(20)
        self.outside = self.gated.gate()
        self.http = httpx.Client(base_url=self.serving.address, trust_env=False, timeout=10)
        self.cookies = {each["id"]: asyncio.run(self._come(each["id"])) for each in PEOPLE}

    async def _come(self, person: str) -> dict[str, str]:
        return {"cookie": f"{COOKIE}={await sign_in(self.outside, person)}"}

    def away(self, person: str, delegate: str) -> None:
        until = NOON + timedelta(days=3)
        asyncio.run(self.outside.directory.set_absence(person, delegate, until))

    def inbox(self, who: str) -> list[str]:
        answer = self.http.get("/api/v1/inbox", headers=self.cookies[who])
        return [row["id"] for row in answer.json()["rows"]]

    def approve(self, who: str) -> httpx.Response:
        action = {"do": "approve", "version": 1}
        address = f"/api/v1/approvals/{ID}/actions"
        return self.http.post(address, json=action, headers=self.cookies[who])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.http.close()
    made.serving.stop()
    made.gated.close()


@pytest.mark.slow
def test_whoever_stands_in_finds_it_decides_it_and_is_told_of_as_such(world: World) -> None:
    assert world.inbox("tess") == [] and world.approve("tess").status_code == 403
    world.away("lena", "tess")

    assert world.inbox("tess") == world.inbox("lena") == [ID] and world.inbox("uma") == []
    page = world.http.get("/", headers=world.cookies["tess"])
    assert "Open the door of none" in page.text
    assert world.approve("tess").status_code == 200

    audit = world.http.get(f"/approvals/{ID}/audit.json", headers=world.cookies["tess"]).json()
    entry = next(each for each in audit["entries"] if each["what"] == "approved")
    assert (entry["by"], entry["through"]) == ("tess", "lena")
    told = world.http.get(f"/approvals/{ID}?tab=audit", headers=world.cookies["tess"]).text
    assert "approved it for Lena Fischer" in told
    assert world.inbox("lena") == []


@pytest.mark.slow
def test_a_program_makes_links_for_whoever_stands_in(world: World) -> None:
    world.serving.site.state.links = Links(world.outside.records, world.gated.clock)
    key = asyncio.run(world.outside.keys.make("mailer", ["links:make"], "*"))
    asked = {
        "url": f"/api/v1/approvals/{ID}/links",
        "json": {"action": "approve", "person": "tess"},
        "headers": {"Authorization": f"Bearer {key}"},
    }

    assert world.http.post(**asked).status_code == 404
    world.away("lena", "tess")
    assert world.http.post(**asked).status_code == 201


@pytest.mark.slow
def test_who_stood_in_before_does_not_any_more(world: World) -> None:
    world.away("lena", "tess")
    world.away("lena", "uma")

    assert world.inbox("tess") == [] and world.inbox("uma") == [ID]
    refused = world.approve("tess")
    assert refused.status_code == 403
    asyncio.run(world.outside.directory.clear_absence("lena"))
    assert world.inbox("uma") == [] and world.approve("uma").status_code == 403


@pytest.mark.slow
def test_an_absence_ends_by_itself(world: World) -> None:
    world.away("lena", "tess")
    world.gated.clock.moves(days=3)
    world.cookies["tess"] = asyncio.run(world._come("tess"))

    assert world.inbox("tess") == [] and world.approve("tess").status_code == 403


@pytest.mark.slow
def test_who_decides_nothing_hands_nothing_on(world: World) -> None:
    """Vic sees what finance is asked, and no more than that."""
    assert world.approve("vic").status_code == 403
    world.away("vic", "uma")

    assert world.inbox("uma") == [] and world.approve("uma").status_code == 403
