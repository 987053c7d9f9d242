"""The staff of the shop's own tenant, and what customers hear of them."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from adjourn import Actor
from adjourn.access.sessions import COOKIE
from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.web.place import AMINA
from support_agent import tenant
from support_agent.live import HUB
from support_agent.shop import talks
from support_agent.shop.database import writing
from support_agent.web import create_talks
from support_agent.web.forms import new_id
from support_agent.web.identity import may_read, may_write
from support_agent.web.staff import OF_OUR_TEAM, Visit
from support_agent.web.story import head_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def talk_id(house: House) -> str:
    made = house.begin_silent(AMINA)
    house.line(made, "customer", "I would like to speak to somebody.")
    house.mode(made, "person", "nameless-17")
    return made


@pytest.mark.parametrize(
    ("shop", "person", "code"),
    [
        ("", "lena", 200),
        ("", "every", 200),
        ("", "desk", 200),
        ("", "other", 404),
        ("", "returns", 404),
        ("other", "other", 200),
        ("other", "every", 200),
        ("other", "lena", 404),
        ("third", "other", 404),
    ],
)
def test_a_conversation_is_there_for_the_shops_own_tenant(
    house: House, talk_id: str, shop: str, person: str, code: int
) -> None:
    pages = TestClient(
        create_talks(house.client, HUB, house.people, shop),
        cookies={COOKIE: house.staff_session(person)},
    )
    for path in ("/", f"/{talk_id}", f"/{talk_id}/news", "/undelivered"):
        answer = pages.get(path)
        assert answer.status_code == code
        assert ("Amina" in answer.text) is (code == 200 and path != "/undelivered")
    nowhere = pages.get(f"/{new_id()}")
    if code == 404:
        there = pages.get(f"/{talk_id}")
        assert there.text == nowhere.text


def test_what_a_shop_of_a_tenant_starts_belongs_to_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(tenant.VARIABLE, "other")
    talk_id = house.begin(AMINA, "Hello")

    rows = [line for line in house.dump() if line.startswith("instances:") and talk_id in line]
    assert rows and all('{"tenant":"other"}' in row for row in rows)


@pytest.mark.parametrize("role", ["approver", "lead", "auditor", "admin"])
def test_an_agent_is_none_of_the_staff_whatever_its_roles(role: Any) -> None:
    agent = Actor(id="key:desk", agent=True, roles=[role])
    person = Actor(id="lena", roles=[role])

    assert not may_read(agent) and not may_write(agent)
    assert may_read(person)


def test_customers_hear_a_name_and_never_what_somebody_signs_in_by(house: House) -> None:
    """Where the directory knows no name, an id is often an address or a number of the company's."""
    talk_id = house.begin(AMINA, "I would like to speak to a person, please.")
    if house.talk(talk_id).mode != "waiting":
        house.say(AMINA, talk_id, "It is about my last order.")
    house.until(lambda: house.talk(talk_id).mode == "waiting")
    case = next(line.case_id for line in house.lines(talk_id) if line.case_id)
    house.approve(case, "nameless-17")
    house.until(lambda: house.talk(talk_id).mode == "person")

    sent = house.person("nameless-17").send(
        f"/talks/{talk_id}/messages", text="I look into it.", message_id=new_id()
    )
    house.until(lambda: house.lines(talk_id)[-1].text == "I look into it.")
    amina = house.customer(AMINA)
    pages = [amina.open(f"/chat/talks/{talk_id}{each}") for each in ("", "/news")]

    assert sent.status_code == 202
    assert OF_OUR_TEAM in pages[0].main
    assert not any("nameless-17" in each.answer.text for each in pages)


def test_no_mark_of_a_page_is_a_digest_of_a_persons_id(house: House, talk_id: str) -> None:
    """An id that can be guessed is found by its digest."""
    marks: set[str] = set()
    for holder in ("lena", "nameless-17", "somebody@example.com"):
        with writing(house.records) as session:
            talks.set_mode(session, talk_id, "person", holder)
        marks.add(head_of(house.talk(talk_id), lambda _: "A name", house.clock()).mark)

    assert len(marks) == 1


def test_whoever_speaks_has_a_name(house: House) -> None:
    nobody: Any = None
    named = Visit(nobody, Actor(id="lena"), house.people).speaker
    unnamed = Visit(nobody, Actor(id="x-2"), house.people).speaker

    assert (named.id, named.name) == ("lena", "Lena Fischer")
    assert (unnamed.id, unnamed.name) == ("x-2", OF_OUR_TEAM)


def test_the_staff_signs_in_and_comes_back_and_nowhere_else(house: House) -> None:
    for path, back in {
        "/talks/": "/talks/",
        "/talks//evil.example/x": "/talks//evil.example/x",
        "/talks/a?next=https://evil.example": "/talks/a",
    }.items():
        answer = house.browser().http.get(path, follow_redirects=False)
        if answer.status_code == 303:
            assert answer.headers["location"] == f"/sign-in?back={back}"


def test_pages_with_sign_in_do_not_say_that_there_is_none(house: House, talk_id: str) -> None:
    pages = [house.person("grace").open("/talks/"), house.customer(AMINA).open("/chat/new")]

    assert not any("No sign-in" in page.text for page in pages)


def test_from_every_page_the_staff_gets_to_their_account_and_out(
    house: House, talk_id: str
) -> None:
    for path in ("/talks/", f"/talks/{talk_id}", "/talks/undelivered"):
        menu = house.person("grace").open(path).root.one("form", action="/sign-out")
        assert [each["href"] for each in menu.all("a")] == ["/account"]
        assert menu["method"] == "post" and "Sign out" in menu.one("button").text
