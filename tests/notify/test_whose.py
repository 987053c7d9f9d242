"""Whose business a mail is: of their tenant, addressed to them or to somebody they stand in for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from adjourn.approvals.people import LocalPeople, Person
from adjourn.model.actor import Absent, Actor
from adjourn.testing import Sandbox
from tests.notify.bureau import Asked, Settings, a_bureau, mail_to, states
from tests.notify.post import Post, a_post


@pytest.fixture
def post() -> Iterator[Post]:
    with a_post() as made:
        yield made


def somebody(id: str, **more: object) -> Person:
    words = {"groups": ["doors"], "roles": ["approver"], **more}
    return Person(id=id, name=id.title(), email=f"{id}@example.com", **words)  # type: ignore[arg-type]


ACME = somebody("ann", tenant="acme")
BETA = somebody("ben", tenant="beta")
NOBODYS = somebody("nell")
ALL = somebody("all", tenant="*")
LEGAL = somebody("tess", tenant="acme", groups=["legal"], queues=["group:doors"])
"""Looks after the queue of doors, and decides nothing in it."""


class Deputies(LocalPeople):
    """People of whom one stands in for others, as a directory with absences has it."""

    def __init__(self, people: Sequence[Person], deputy: str, away: list[Absent]) -> None:
        super().__init__(people)
        self.deputy, self.away = deputy, away

    def acting(self, person: Person, channel: str) -> Actor:
        away = [*self.away] if person.id == self.deputy else []
        return replace(super().acting(person, channel), stands_in_for=away)


def ask(box: Sandbox, tenant: str, number: int, **asked: Any) -> None:
    tags = {"tenant": tenant} if tenant else {}
    title = f"Open {tenant or 'nobodys'} door {number}"
    box.start("ask", Asked(title=title, **asked), id=f"{tenant or 'none'}-{number}", tags=tags)


def to(post: Post, person: str) -> list[str]:
    return [each.subject for each in post.to(f"{person}@example.com")]


def test_a_mail_goes_to_nobody_of_another_tenant(post: Post) -> None:
    people = [ACME, BETA, NOBODYS, ALL, LEGAL]
    with a_bureau(Settings(mail_to(post)), people=people) as box:
        for tenant in ("acme", "beta", ""):
            ask(box, tenant, 1)
    assert to(post, "ann") == ["Decision needed: Open acme door 1"]
    assert to(post, "ben") == ["Decision needed: Open beta door 1"]
    assert to(post, "nell") == ["Decision needed: Open nobodys door 1"]
    assert len(to(post, "all")) == 3 and to(post, "tess") == []


def test_a_requester_of_another_tenant_hears_nothing_of_the_end(post: Post) -> None:
    asker = somebody("sam", tenant="beta")
    with a_bureau(Settings(mail_to(post)), people=[ACME, asker]) as box:
        ask(box, "acme", 1)
        box.inbox().one().approve(by=ACME.actor("web"))
        box.advance(minutes=1)
        assert states(box)["sam", "decided"] == "dropped"
    assert to(post, "sam") == []


def test_a_digest_counts_and_names_what_its_person_may_see(post: Post) -> None:
    people = [ACME, BETA, NOBODYS, ALL, LEGAL]
    with a_bureau(Settings(mail_to(post, digest_over=0)), people=people) as box:
        for tenant, many in (("acme", 3), ("beta", 2), ("", 1)):
            for number in range(many):
                ask(box, tenant, number)
        ask(box, "acme", 9, to="legal")
        box.advance(hours=1)
    assert to(post, "ann") == ["3 decisions wait for you"]
    assert to(post, "ben") == ["2 decisions wait for you"]
    assert to(post, "nell") == ["One decision waits for you"]
    assert to(post, "all") == ["6 decisions wait for you"]
    assert to(post, "tess") == ["One decision waits for you"]
    (digest,) = post.to("ann@example.com")
    assert digest.text.count("Open acme door") == digest.text.count("Open ") == 3


def test_whoever_stands_in_is_told_what_they_may_decide_in_anothers_place(post: Post) -> None:
    """And of nothing that the absent one might not decide."""
    away = Absent(id="omar", groups=["doors"], roles=["approver"])
    people = [somebody("tess", groups=[]), somebody("omar"), somebody("uma", groups=[])]

    settings = Settings(mail_to(post, digest_over=1))
    with a_bureau(settings, directory=Deputies(people, "tess", [away])) as box:
        ask(box, "", 1)
        ask(box, "", 2, requester="omar")
        ask(box, "", 3)
        assert to(post, "tess") == ["Decision needed: Open nobodys door 1"]
        box.advance(hours=1)
    assert to(post, "tess")[1:] == ["2 decisions wait for you"]
    assert "door 2" not in post.to("tess@example.com")[1].text
    assert to(post, "uma") == []


def test_who_stands_in_no_more_is_not_told_any_more(post: Post) -> None:
    away = [Absent(id="omar", groups=["doors"], roles=["approver"])]
    people = [somebody("tess", groups=[])]
    post.down()
    with a_bureau(Settings(mail_to(post)), directory=Deputies(people, "tess", away)) as box:
        ask(box, "", 1)
        assert states(box)["tess", "new"] == "again"
        away.clear()
        post.up()
        box.advance(hours=1)
        assert states(box)["tess", "new"] == "dropped"
    assert post.seen == []


def test_what_was_ended_from_outside_is_not_asked_any_more(post: Post) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post)), people=[somebody("lena")]) as box:
        ask(box, "", 1)
        box.terminate("none-1", "no longer wanted")
        post.up()
        box.advance(hours=1)
        assert states(box)["lena", "new"] == "dropped"
    assert post.seen == []


def test_what_has_failed_is_not_asked_any_more(post: Post) -> None:
    post.down()
    with a_bureau(Settings(mail_to(post)), people=[somebody("lena")]) as box:
        box.start("ask_and_fail", "Open it", id="F-1")
        assert box.get("F-1").status == "Failed"
        post.up()
        box.advance(hours=1)
        assert set(states(box).values()) <= {"dropped"}
    assert post.seen == []
