"""Who may act, and by which accounts they are known elsewhere."""

from __future__ import annotations

import msgspec
import pytest

from adjourn import Authenticator, Person
from adjourn.approvals.people import LocalPeople

LENA = Person(id="lena", name="Lena", roles=["approver"], accounts={"teams": "t1/o1"})
OMAR = Person(id="omar", name="Omar", accounts={"teams": "t1/o2", "mail": "t1/o1"})
NORA = Person(id="nora", name="Nora")


def test_somebody_is_found_by_the_whole_account_of_that_very_channel() -> None:
    people: Authenticator = LocalPeople([LENA, OMAR, NORA])

    assert people.find_account("teams", "t1/o1") == LENA
    assert people.find_account("mail", "t1/o1") == OMAR
    assert list(people.everybody()) == [LENA, OMAR, NORA]


@pytest.mark.parametrize(
    ("channel", "account"),
    [
        ("teams", "t2/o1"),
        ("teams", "o1"),
        ("teams", ""),
        ("", ""),
        ("mail", "t1/o2"),
        ("web", "lena"),
    ],
)
def test_a_stranger_is_nobody(channel: str, account: str) -> None:
    assert LocalPeople([LENA, OMAR, NORA]).find_account(channel, account) is None


@pytest.mark.parametrize(
    "now",
    [Person(id="lena", name="Lena"), msgspec.structs.replace(LENA, disabled=True)],
    ids=["lost", "of somebody who is disabled"],
)
def test_an_account_by_which_nobody_may_act_any_more_is_nobodys_at_once(now: Person) -> None:
    people = LocalPeople([LENA])

    people.people["lena"] = now

    assert people.find_account("teams", "t1/o1") is None


def test_an_account_of_two_people_is_refused() -> None:
    other = Person(id="lea", name="Lea", accounts={"teams": "t1/o1"})

    with pytest.raises(ValueError, match=r"'t1/o1' belongs to 'lena' and to 'lea'"):
        LocalPeople([LENA, other])


def test_an_empty_account_is_refused() -> None:
    with pytest.raises(ValueError, match="'lea' has an empty teams account"):
        LocalPeople([Person(id="lea", name="Lea", accounts={"teams": ""})])
