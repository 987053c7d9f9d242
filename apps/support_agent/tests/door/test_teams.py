"""Microsoft Teams in a server where people sign in."""

import asyncio
from typing import Any

import pytest

from adjourn import Person
from adjourn.approvals.people import DEMO_PEOPLE, LocalPeople
from apps.support_agent.tests.door.house import STAFF, Badges
from support_agent.channels.desk import Desk
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, IncomingDecision, IncomingMessage, Sender
from support_agent.channels.reception import Reception
from support_agent.shop.reaching import Reader

ACCOUNT = "tenant/gone"
ADDRESS = Address("teams", {"conversation": "a chat"})
NO_CLIENT: Any = None
"""Whoever is disabled comes nowhere near the engine."""


def desk(disabled: bool = True) -> Desk:
    person = Person(
        id="gone", name="Gone", roles=["lead"], accounts={"teams": ACCOUNT}, disabled=disabled
    )
    people: Any = Badges([*STAFF, person])
    return Desk(NO_CLIENT, people, "")


def sender() -> Sender:
    return Sender(account=ACCOUNT, name="Gone")


def test_who_is_disabled_decides_nothing_in_teams_either() -> None:
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

    reply = asyncio.run(Reception(desk()).on_decision("teams", decision))

    assert reply.code == 403 and reply.card is None


@pytest.mark.parametrize("text", ["", "hello", "cards here"])
@pytest.mark.parametrize("personal", [True, False])
def test_who_is_disabled_is_answered_nothing(text: str, personal: bool) -> None:
    """Nor taken for a customer who is yet to link an account."""
    message = IncomingMessage(
        id="1",
        conversation="a chat",
        sender=sender(),
        address=ADDRESS,
        text=text,
        personal=personal,
    )

    asyncio.run(Reception(desk()).on_message("teams", message))


@pytest.mark.parametrize(
    "reader",
    [
        Reader("teams", ACCOUNT, True, "gone", ADDRESS),
        Reader("teams", "a team's channel", False, "gone", ADDRESS),
    ],
    ids=["in their chat", "in a channel"],
)
def test_who_is_disabled_gets_no_cards_and_has_none_shown(reader: Reader) -> None:
    assert desk().person_of(reader) is None
    known = desk(disabled=False).person_of(reader)
    assert known is not None and known.name == "Gone"


@pytest.mark.parametrize("environ", [{"SUPPORT_TEAMS_LOCAL": "1"}])
def test_the_local_mode_does_not_start_where_people_sign_in(environ: dict[str, str]) -> None:
    """It believes whoever reaches it, and others do."""
    pytest.importorskip("microsoft_teams")
    from support_agent.channels.teams.serve import open_teams
    from support_agent.channels.teams.settings import TeamsSettingsError

    make = open_teams(environ, "127.0.0.1")
    try:
        people: Any = Badges(STAFF)
        with pytest.raises(TeamsSettingsError) as refused:
            make(Desk(NO_CLIENT, people, ""))
        assert "SUPPORT_TEAMS_LOCAL" in str(refused.value)
        make(Desk(NO_CLIENT, LocalPeople(DEMO_PEOPLE), ""))
    finally:
        CHANNELS.clear()
