"""How the first administrator comes to be: once, by whoever holds what was printed."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from adjourn.access.settings import Member, Provider
from adjourn.access.setup import SetUpRefusedError
from adjourn.approvals.people import Person
from adjourn.model.actor import EVERY_TENANT, Actor
from tests.access.gated import ISSUER, NOON, PEOPLE, Gated, asks, sign_in

NO_ADMIN = [each for each in PEOPLE if each["id"] not in ("ada", "gone")]
NO_BOSS = Provider(issuer=ISSUER, client_id="adjourn")
STRANGER = Person(id="sso-1", name="Sue", accounts={"oidc": f"{ISSUER}|1"})


@pytest.fixture
def unruled(gated: Gated) -> Gated:
    """Nobody is administrator."""
    gated.write(NO_ADMIN)
    return gated


def test_whoever_is_signed_in_and_holds_the_token_is_administrator_and_it_is_spent(
    unruled: Gated,
) -> None:
    async def story() -> None:
        gate = unruled.gate(oidc=NO_BOSS)
        token = await gate.set_up.offer()
        assert token is not None
        await gate.directory.remember(STRANGER)
        id = await sign_in(gate, "sso-1")
        me = await asks(gate, id)
        assert me is not None and me.roles == [], "a stranger comes in while one is awaited"
        assert await gate.set_up.holds(token)

        await gate.set_up.spend(token, me)

        now = await asks(gate, id)
        assert now is not None and (now.roles, now.tenant) == (["admin"], EVERY_TENANT)
        assert not await gate.set_up.holds(token)
        vic = await asks(gate, await sign_in(gate, "vic"))
        assert vic is not None
        with pytest.raises(SetUpRefusedError):
            await gate.set_up.spend(token, vic)
        assert await unruled.gate(oidc=NO_BOSS).set_up.offer() is None, "and stays so"

    asyncio.run(story())


def test_the_token_stands_nowhere_in_the_file(unruled: Gated) -> None:
    gate = unruled.gate(oidc=NO_BOSS)
    token = asyncio.run(gate.set_up.offer())

    kept = b"".join(each.read_bytes() for each in unruled.records.parent.glob("*.access*"))
    assert token is not None and len(token) == 43 and token.encode() not in kept


@pytest.mark.parametrize("given", ["", "x" * 43, "{token}x", "{token} ", "{half}", "\ud800", "é"])
def test_what_is_not_the_token_makes_nobody_administrator(unruled: Gated, given: str) -> None:
    async def story() -> None:
        gate = unruled.gate(oidc=NO_BOSS)
        token = await gate.set_up.offer()
        assert token is not None
        vic = Actor(id="vic")
        wrong = given.replace("{token}", token).replace("{half}", token[:20])
        with pytest.raises(SetUpRefusedError):
            await gate.set_up.spend(wrong, vic)
        assert not await gate.set_up.holds(wrong)
        assert await gate.set_up.holds(token), "a wrong one does not spend it"

    asyncio.run(story())


def test_of_all_who_present_it_at_once_one_is_administrator(unruled: Gated) -> None:
    async def story() -> None:
        gates = [unruled.gate(oidc=NO_BOSS) for _ in range(4)]
        token = await gates[0].set_up.offer()
        assert token is not None
        people = ["lena", "grace", "vic", "lena"]

        said = await asyncio.gather(
            *(
                gate.set_up.spend(token, Actor(id=id))
                for gate, id in zip(gates, people, strict=True)
            ),
            return_exceptions=True,
        )

        assert sum(each is None for each in said) == 1
        await gates[0].directory.fresh()
        admins = [each.id for each in gates[0].everybody() if "admin" in each.roles]
        assert len(admins) == 1

    asyncio.run(story())


def test_it_ends_after_a_day(unruled: Gated) -> None:
    async def story() -> None:
        gate = unruled.gate(oidc=NO_BOSS)
        token = await gate.set_up.offer()
        assert token is not None
        unruled.clock.at = NOON + timedelta(hours=24)
        with pytest.raises(SetUpRefusedError):
            await gate.set_up.spend(token, Actor(id="vic"))
        await gate.directory.remember(STRANGER)
        assert await asks(gate, await sign_in(gate, "sso-1")) is None, "no strangers any more"

    asyncio.run(story())


def test_a_new_start_prints_a_new_one_and_the_old_one_is_worth_nothing(unruled: Gated) -> None:
    async def story() -> None:
        first, second = unruled.gate(oidc=NO_BOSS), unruled.gate(oidc=NO_BOSS)
        old, new = await first.set_up.offer(), await second.set_up.offer()
        assert old is not None and new is not None and old != new
        with pytest.raises(SetUpRefusedError):
            await first.set_up.spend(old, Actor(id="vic"))
        await second.set_up.spend(new, Actor(id="vic"))

    asyncio.run(story())


def test_it_is_worth_nothing_as_soon_as_the_file_names_an_administrator(unruled: Gated) -> None:
    async def story() -> None:
        gate = unruled.gate(oidc=NO_BOSS)
        token = await gate.set_up.offer()
        assert token is not None
        unruled.write(PEOPLE)
        with pytest.raises(SetUpRefusedError):
            await gate.set_up.spend(token, Actor(id="vic"))
        assert not await gate.set_up.holds(token)

    asyncio.run(story())


def test_a_program_is_never_administrator(unruled: Gated) -> None:
    async def story() -> None:
        gate = unruled.gate(oidc=NO_BOSS)
        token = await gate.set_up.offer()
        assert token is not None
        with pytest.raises(SetUpRefusedError):
            await gate.set_up.spend(token, Actor(id="key:ci", agent=True))
        assert await gate.set_up.holds(token)

    asyncio.run(story())


def test_there_is_none_where_somebody_or_a_group_is_administrator(gated: Gated) -> None:
    async def story() -> None:
        assert await gated.gate(oidc=NO_BOSS).set_up.offer() is None
        gated.write(NO_ADMIN)
        boss = Provider(
            issuer=ISSUER, client_id="adjourn", members=[Member(claim="boss", roles=["admin"])]
        )
        assert await gated.gate(oidc=boss).set_up.offer() is None
        assert await gated.gate(oidc=NO_BOSS).set_up.offer() is not None

    asyncio.run(story())


def test_a_disabled_administrator_is_none(gated: Gated) -> None:
    gated.write([*NO_ADMIN, {"id": "gone", "name": "G", "roles": ["admin"], "disabled": True}])

    assert asyncio.run(gated.gate(oidc=NO_BOSS).set_up.offer()) is not None
