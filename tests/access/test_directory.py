"""Who there is: a file that an editor changes, and what sign-in adds to it."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adjourn.access.directory import (
    CLAIMS_LAST,
    AccountTakenError,
    InvalidAbsenceError,
    PeopleFileError,
)
from adjourn.access.gate import Gate
from adjourn.access.memberships import granted
from adjourn.access.settings import Member
from adjourn.approvals.people import Person
from adjourn.errors import UnknownPersonError
from adjourn.model.actor import EVERY_TENANT, Absent, Actor
from tests.access.gated import ISSUER, NOON, PEOPLE, Gated, asks, sign_in

SUE = Person(id="sso-sue", name="Sue", email="sue@example.com", accounts={"oidc": f"{ISSUER}|1"})


def changed(id: str, **facts: Any) -> list[dict[str, Any]]:
    return [{**each, **facts} if each["id"] == id else each for each in PEOPLE]


def run(story: Any) -> None:
    asyncio.run(story)


# The people file.


def test_a_role_that_the_file_takes_away_is_gone_at_the_next_request(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "grace")
        before = await asks(gate, id)
        gated.write(changed("grace", roles=["viewer"], groups=[]))
        after = await asks(gate, id)

        assert before is not None and before.roles == ["approver", "lead"]
        assert after is not None and (after.roles, after.groups) == (["viewer"], [])

    run(story())


@pytest.mark.parametrize("left", ["disabled", "taken out"])
def test_whoever_leaves_the_file_is_out_at_the_next_request_and_stays_signed_out(
    gated: Gated, left: str
) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        people = changed("lena", disabled=True) if left == "disabled" else PEOPLE[1:]
        gated.write(people)
        assert await asks(gate, id) is None
        gated.write(PEOPLE)
        assert await asks(gate, id) is None, "a session does not come back with its person"
        assert await asks(gate, await sign_in(gate, "lena")) is not None

    run(story())


def rename(gated: Gated, name: str) -> None:
    """The same file, as long as before, and said to be as old."""
    before = os.stat(gated.file)
    text = gated.file.read_text().replace('"name": "Vic"', f'"name": "{name}"')
    gated.file.write_text(text)
    os.utime(gated.file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(gated.file).st_size == before.st_size


def test_a_file_of_the_same_length_and_age_is_seen(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        gated.clock.moves(days=400)  # long after the file was written
        await gate.directory.fresh()
        rename(gated, "Vig")
        await gate.directory.fresh()
        found = gate.find("vic")
        assert found is not None and found.name == "Vig"

    run(story())


def test_a_file_written_twice_within_one_tick_of_its_clock_is_seen(
    gated: Gated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system whose clock stands still tells nothing apart: we look until that is over."""

    stood, look = os.stat(gated.file), os.stat

    def stands(path: Any, **how: Any) -> os.stat_result:
        return stood if path == str(gated.file) else look(path, **how)

    async def story() -> None:
        gated.clock.at = datetime.fromtimestamp(stood.st_mtime + 1, UTC)
        gate = gated.gate()
        gated.file.write_text(gated.file.read_text().replace('"Vic"', '"Vig"'))
        await gate.directory.fresh()
        found = gate.find("vic")
        assert found is not None and found.name == "Vig"

    monkeypatch.setattr("adjourn.access.directory.os.stat", stands)
    run(story())


BROKEN = {
    "cut off": lambda text: text[:-20],
    "no list": lambda text: '{"id": "lena"}',
    "empty": lambda text: "",
    "nobody": lambda text: "[]",
    "twice": lambda text: text.replace('"grace"', '"lena"'),
    "unknown role": lambda text: text.replace('"admin"', '"root"'),
    "a mistyped word": lambda text: text.replace('"name"', '"disable": true, "name"'),
    "an id that is a group": lambda text: text.replace('"lena"', '"group:finance"'),
    "a shared account": lambda text: text.replace('"name"', '"accounts": {"teams": "t/1"}, "name"'),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_version_changes_nothing_and_is_named_in_the_log(
    gated: Gated, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "ada")
        good = gated.file.read_text()
        with caplog.at_level(logging.ERROR):
            gated.file.write_text(BROKEN[how](good))
            for _ in range(3):
                actor = await asks(gate, id)
                assert actor is not None and actor.roles == ["admin"]
        assert len(caplog.records) == 1, "once for each version of the file"
        assert str(gated.file) in caplog.text and "stay in force" in caplog.text
        gated.write(changed("ada", roles=["auditor"]))
        actor = await asks(gate, id)
        assert actor is not None and actor.roles == ["auditor"]

    run(story())


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_starts_no_server(gated: Gated, how: str) -> None:
    gated.file.write_text(BROKEN[how](gated.file.read_text()))

    with pytest.raises(PeopleFileError, match=r"people\.json"):
        gated.gate()


@pytest.mark.parametrize("what", ["nothing", "a folder"])
def test_a_file_that_goes_away_and_comes_back(
    gated: Gated, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "ada")
        with caplog.at_level(logging.ERROR):
            gated.file.unlink()
            if what == "a folder":
                gated.file.mkdir()
            assert await asks(gate, id) is not None and await asks(gate, id) is not None
        assert len(caplog.records) == 1
        if what == "a folder":
            gated.file.rmdir()
        gated.write(changed("ada", disabled=True))
        assert await asks(gate, id) is None

    run(story())


def test_no_file_is_said_so(tmp_path: Path) -> None:
    gated = Gated(tmp_path)
    gated.file.unlink()
    with pytest.raises(PeopleFileError, match="cannot be read"):
        gated.gate()
    gated.close()


# Disabled by an operator.


def test_somebody_disabled_in_another_process_is_out_here_at_once(gated: Gated) -> None:
    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        id, adas = await sign_in(here, "lena"), await sign_in(here, "ada")
        await there.directory.disable("lena")

        assert await asks(here, id) is None
        assert await asks(here, await sign_in(here, "lena")) is None, "nor by a new sign-in"
        assert await asks(here, adas) is not None
        assert [each.id for each in here.everybody()] == ["ada", "grace", "vic"]
        await there.directory.enable("lena")
        assert await asks(here, id) is None
        assert await asks(here, await sign_in(here, "lena")) is not None

    run(story())


def test_disabling_ends_sessions_that_nobody_uses_meanwhile(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        id = await sign_in(gate, "lena")
        await gate.directory.disable("lena")
        assert await gate.sessions.of("lena") == []
        await gate.directory.enable("lena")
        assert await asks(gate, id) is None

    run(story())


def test_whom_nobody_knows_is_not_disabled_by_a_slip(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        with pytest.raises(UnknownPersonError, match="lenna"):
            await gate.directory.disable("lenna")
        with pytest.raises(PeopleFileError, match="disables 'gone'"):
            await gate.directory.enable("gone")

    run(story())


# Those who signed in.


def test_who_signed_in_is_known_with_name_address_and_account_and_nothing_more(
    gated: Gated,
) -> None:
    async def story() -> None:
        gate = gated.gate()
        claimed = Person(
            **{
                **{name: getattr(SUE, name) for name in ("id", "name", "email", "accounts")},
                "roles": ["admin"],
                "groups": ["finance"],
                "tenant": EVERY_TENANT,
                "title": "Chief",
            }
        )
        await gate.directory.remember(claimed)

        assert gate.directory.find("sso-sue") == SUE
        assert gate.directory.find_account("oidc", f"{ISSUER}|1") == SUE
        assert gate.directory.find_account("oidc", "") is None

    run(story())


def test_signing_in_again_keeps_what_an_operator_did(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        await gate.directory.remember(SUE)
        await gate.directory.give("sso-sue", "lead")
        await gate.directory.disable("sso-sue")
        await gate.directory.remember(SUE)
        found = gate.find("sso-sue")
        assert found is not None and found.disabled and found.roles == ["lead"]
        assert gate.find_account("oidc", f"{ISSUER}|1") is None, "by no channel"

    run(story())


def test_an_account_is_one_persons_and_a_person_has_one_account(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        await gate.directory.remember(SUE)
        taken = Person(id="sso-eve", name="Eve", accounts={"oidc": f"{ISSUER}|1"})
        with pytest.raises(AccountTakenError):
            await gate.directory.remember(taken)
        other = Person(id="sso-sue", name="Eve", accounts={"oidc": f"{ISSUER}|666"})
        with pytest.raises(AccountTakenError):
            await gate.directory.remember(other)
        assert gate.directory.find_account("oidc", f"{ISSUER}|666") is None

    run(story())


def test_the_file_says_the_last_word_on_accounts(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        lena = Person(id="lena", name="L", accounts={"oidc": f"{ISSUER}|7"})
        await gate.directory.remember(lena)
        found = gate.directory.find_account("oidc", f"{ISSUER}|7")
        assert found is not None and (found.id, found.roles) == ("lena", ["approver"])

        gated.write(changed("grace", accounts={"oidc": f"{ISSUER}|7"}))
        await gate.directory.fresh()
        found = gate.directory.find_account("oidc", f"{ISSUER}|7")
        assert found is not None and found.id == "grace"
        with pytest.raises(AccountTakenError):
            await gate.directory.remember(lena)

    run(story())


def test_an_account_that_the_file_no_longer_names_is_nobodys(gated: Gated) -> None:
    async def story() -> None:
        gated.write(changed("lena", accounts={"teams": "t/9"}))
        gate = gated.gate()
        known = gate.find("lena")
        assert known is not None
        accounts = {**known.accounts, "oidc": f"{ISSUER}|7"}
        await gate.directory.remember(Person(id="lena", name="L", accounts=accounts))
        gated.write(PEOPLE)
        await gate.directory.fresh()
        assert gate.directory.find_account("teams", "t/9") is None
        assert gate.directory.find_account("oidc", f"{ISSUER}|7") is not None

    run(story())


# What a provider's groups mean.


async def come(gate: Gate, *claims: str) -> Actor | None:
    await gate.directory.remember(SUE)
    return await asks(gate, await sign_in(gate, "sso-sue", groups=list(claims)))


@pytest.mark.parametrize("claims", [(), ("g-other",), ("finance",), ("G-FINANCE",), ("",)])
def test_a_stranger_in_no_group_that_means_something_is_nobody(
    gated: Gated, claims: tuple[str, ...]
) -> None:
    async def story() -> None:
        assert await come(gated.gate(), *claims) is None

    run(story())


def test_a_group_of_the_provider_gives_what_the_settings_say(gated: Gated) -> None:
    async def story() -> None:
        actor = await come(gated.gate(), "g-finance", "g-unknown")
        assert actor is not None
        assert (actor.groups, actor.roles, actor.tenant) == (["finance"], ["approver"], "")

    run(story())


def test_a_lost_group_counts_for_sessions_that_were_there_before(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        await gate.directory.remember(SUE)
        old = await sign_in(gate, "sso-sue", groups=["g-finance", "g-boss"])
        gated.clock.moves(minutes=1)
        await sign_in(gated.gate(), "sso-sue", groups=["g-finance"])
        actor = await asks(gate, old)
        assert actor is not None and actor.roles == ["approver"]

    run(story())


def test_a_group_that_the_settings_no_longer_name_lets_nobody_in(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        await gate.directory.remember(SUE)
        id = await sign_in(gate, "sso-sue", groups=["g-finance"])
        oidc = gated.settings().oidc
        assert oidc is not None
        without = gated.gate(oidc=msgspec.structs.replace(oidc, members=[]))
        assert await asks(without, id) is None

    run(story())


def test_groups_of_the_last_sign_in_count_for_thirty_days_elsewhere(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        await come(gate, "g-finance")
        account = ("oidc", f"{ISSUER}|1")
        gated.clock.at = NOON + CLAIMS_LAST - timedelta(seconds=1)
        found = gate.find_account(*account)
        assert found is not None and found.groups == ["finance"]
        gated.clock.at = NOON + CLAIMS_LAST
        assert gate.find_account(*account) is None
        assert "sso-sue" not in [each.id for each in gate.everybody()]

    run(story())


FINANCE = Member(claim="f", group="finance", roles=["approver"], queues=["group:finance"])
SUPPORT = Member(claim="s", group="support", roles=["lead"], queues=["group:support"])
ANY = Member(claim="any", roles=["viewer"])
ACME = Member(claim="acme", group="a", roles=["admin"], tenant="acme")
ALL = Member(claim="all", roles=["admin"], tenant=EVERY_TENANT)
MEMBERS = [FINANCE, SUPPORT, ANY, ACME, ALL]


@pytest.mark.parametrize(
    ("person", "claims", "tenant", "roles", "queues"),
    [
        (Person(id="p", name=""), [], "", [], None),
        (Person(id="p", name=""), ["any"], "", ["viewer"], None),
        (Person(id="p", name=""), ["f"], "", ["approver"], ["group:finance"]),
        (Person(id="p", name=""), ["f", "s"], "", ["approver", "lead"],
         ["group:finance", "group:support"]),
        (Person(id="p", name=""), ["any", "f"], "", ["approver", "viewer"], ["group:finance"]),
        (Person(id="p", name="", queues=[]), ["any", "f"], "", ["approver", "viewer"], []),
        (Person(id="p", name=""), ["acme", "all"], "acme", ["admin"], None),
        (Person(id="p", name="", tenant="zeta"), ["acme", "all", "any"], "zeta", ["viewer"], None),
        (Person(id="p", name="", tenant="acme"), ["all"], "acme", [], None),
    ],
)  # fmt: skip
def test_a_further_group_widens_no_tenant_and_no_queues(
    person: Person, claims: list[str], tenant: str, roles: list[str], queues: list[str] | None
) -> None:
    found = granted(person, MEMBERS, claims)

    assert (found.tenant, found.roles, found.queues) == (tenant, roles, queues)


# Those who are away.


def test_whoever_is_away_is_stood_in_for_until_they_are_back(gated: Gated) -> None:
    async def story() -> None:
        here, there = gated.gate(), gated.gate()
        vics = await sign_in(here, "vic")
        await there.directory.set_absence("grace", "vic", NOON + timedelta(minutes=30))
        actor = await asks(here, vics)
        assert actor is not None
        assert actor.stands_in_for == [
            Absent(id="grace", groups=["finance"], roles=["approver", "lead"])
        ]
        gated.clock.at = NOON + timedelta(minutes=30)
        actor = await asks(here, vics)
        assert actor is not None and actor.stands_in_for == []
        await there.directory.set_absence("grace", "vic", gated.clock.at + timedelta(days=1))
        assert [each.person for each in await here.directory.absences()] == ["grace"]
        await there.directory.clear_absence("grace")
        actor = await asks(here, vics)
        assert actor is not None and actor.stands_in_for == []

    run(story())


def test_a_disabled_person_is_stood_in_for_by_nobody(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        vics = await sign_in(gate, "vic")
        await gate.directory.set_absence("grace", "vic", NOON + timedelta(hours=1))
        await gate.directory.disable("grace")
        actor = await asks(gate, vics)
        assert actor is not None and actor.stands_in_for == []

    run(story())


@pytest.mark.parametrize(
    ("person", "delegate", "hours"),
    [
        ("grace", "grace", 1),
        ("grace", "gone", 1),
        ("grace", "nobody", 1),
        ("nobody", "grace", 1),
        ("grace", "theo", 1),
        ("grace", "vic", 0),
        ("grace", "vic", -1),
        ("grace", "vic", 24 * 367),
    ],
)
def test_who_may_not_stand_in_does_not(
    gated: Gated, person: str, delegate: str, hours: int
) -> None:
    async def story() -> None:
        gated.write([*PEOPLE, {"id": "theo", "name": "Theo", "tenant": "acme"}])
        gate = gated.gate()
        with pytest.raises((InvalidAbsenceError, UnknownPersonError)):
            await gate.directory.set_absence(person, delegate, NOON + timedelta(hours=hours))
        assert await gate.directory.absences() == []

    run(story())


def test_a_delegate_who_changes_tenant_stands_in_for_nobody(gated: Gated) -> None:
    async def story() -> None:
        gate = gated.gate()
        vics = await sign_in(gate, "vic")
        await gate.directory.set_absence("grace", "vic", NOON + timedelta(hours=1))
        gated.write(changed("vic", tenant="acme"))
        actor = await asks(gate, vics)
        assert actor is not None and (actor.tenant, actor.stands_in_for) == ("acme", [])

    run(story())
