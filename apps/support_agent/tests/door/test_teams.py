"""Microsoft Teams in a server where people sign in."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adjourn import Person
from adjourn.access.gate import Gate
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from apps.support_agent.tests.door.house import PUBLIC_URL, STAFF, Clock, House, gate_of
from support_agent.channels.desk import Desk
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, IncomingDecision, IncomingMessage, Sender
from support_agent.channels.reception import Reception
from support_agent.shop import reaching
from support_agent.shop.database import reading, writing
from support_agent.shop.reaching import Reader
from tests.tenants import app, ask

ACCOUNT = "tenant/gone"
ADDRESS = Address("teams", {"conversation": "a chat"})
NO_CLIENT: Any = None
"""Whoever is disabled comes nowhere near the engine."""


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    """`gates(disabled=True)`: of a server with one person more, who has an account in Teams."""
    opened: list[Gate] = []

    def gate(disabled: bool) -> Gate:
        person = Person(
            id="away",
            name="Gone",
            roles=["lead"],
            accounts={"teams": ACCOUNT},
            disabled=disabled,
        )
        opened.append(gate_of(tmp_path, [person, *STAFF], PUBLIC_URL, Clock()))
        return opened[-1]

    yield gate
    for each in opened:
        each.records.close()


@pytest.fixture
def desk(gates: Callable[..., Gate]) -> Desk:
    return Desk(NO_CLIENT, gates(disabled=True), PUBLIC_URL)


def sender() -> Sender:
    return Sender(account=ACCOUNT, name="Gone")


def test_who_is_disabled_decides_nothing_in_teams_either(desk: Desk) -> None:
    decision = IncomingDecision(
        id="1",
        sender=sender(),
        approval="R-1001:1",
        version=1,
        action="approve",
        digest="",
        comment="",
        typed={},
    )

    reply = asyncio.run(Reception(desk).on_decision("teams", decision))

    assert reply.code == 403 and reply.card is None


@pytest.mark.slow
def test_whoever_stands_in_for_somebody_decides_in_teams_too(gates: Callable[..., Gate]) -> None:
    decision = IncomingDecision(
        id="1",
        sender=sender(),
        approval="case-1:1:1",
        version=1,
        action="reject",
        digest="",
        comment="Not this one.",
        typed={},
    )

    async def decided() -> list[int]:
        gate = gates(disabled=False)
        async with app.open(":memory:") as client:
            await client.start(ask, ["none", "support"], id="case-1")
            reception = Reception(Desk(client, gate, PUBLIC_URL))
            before = await reception.on_decision("teams", decision)
            await gate.directory.set_absence("lena", "away", Clock()() + timedelta(days=1))
            after = await reception.on_decision("teams", decision)
        return [before.code, after.code]

    assert asyncio.run(decided()) == [403, 200]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "hello", "cards here"])
@pytest.mark.parametrize("personal", [True, False])
def test_who_is_disabled_is_shown_no_questions(
    house: House, gates: Callable[..., Gate], text: str, personal: bool
) -> None:
    """They are answered as anybody else is, who may be a customer."""
    message = IncomingMessage(
        id="1",
        conversation="a chat",
        sender=sender(),
        address=ADDRESS,
        text=text,
        personal=personal,
    )

    for disabled in (True, False):
        desk = Desk(house.client, gates(disabled), "")
        house.run(Reception(desk).on_message("teams", message))
        with reading(house.records) as session:
            shown = [each.name for each in reaching.readers(session)]
        assert shown == ([] if disabled or not (personal or text == "cards here") else ["away"])
    with writing(house.records) as session:
        reaching.read_no_more(session, ADDRESS)


@pytest.mark.parametrize(
    "reader",
    [
        Reader("teams", ACCOUNT, True, "away", ADDRESS),
        Reader("teams", "a team's channel", False, "away", ADDRESS),
    ],
    ids=["in their chat", "in a channel"],
)
def test_who_is_disabled_gets_no_cards_and_has_none_shown(
    gates: Callable[..., Gate], reader: Reader
) -> None:
    assert Desk(NO_CLIENT, gates(disabled=True), PUBLIC_URL).person_of(reader) is None
    known = Desk(NO_CLIENT, gates(disabled=False), PUBLIC_URL).person_of(reader)
    assert known is not None and known.name == "Gone"


@pytest.mark.parametrize("environ", [{"SUPPORT_TEAMS_LOCAL": "1"}])
def test_the_local_mode_does_not_start_where_people_sign_in(
    desk: Desk, environ: dict[str, str]
) -> None:
    """It believes whoever reaches it, and others do."""
    pytest.importorskip("microsoft_teams")
    from support_agent.channels.teams.serve import open_teams
    from support_agent.channels.teams.settings import TeamsSettingsError

    make = open_teams(environ, "127.0.0.1")
    try:
        with pytest.raises(TeamsSettingsError) as refused:
            make(desk)
        assert "SUPPORT_TEAMS_LOCAL" in str(refused.value)
        make(Desk(NO_CLIENT, LocalPeople(DEMO_PEOPLE), ""))
    finally:
        CHANNELS.clear()
