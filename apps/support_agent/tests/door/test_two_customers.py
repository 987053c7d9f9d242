"""What is another customer's is not there: the same answer as for what does not exist."""

import re
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.support_agent.tests.door.house import House
from apps.support_agent.tests.door.routes import CUSTOMERS, Asked, Things
from apps.support_agent.tests.web.place import AMINA, JONAS, Browser
from support_agent.shop import reaching
from support_agent.shop.database import reading
from support_agent.web.forms import new_id

pytestmark = pytest.mark.slow

WITH_A_TALK = [each for each in CUSTOMERS if "{talk_id}" in each.path]
ODD_IDS = ["1", "R-1001", "A-1201", "..", "%2e%2e", "a/b", "x" * 200, "' OR 1=1 --", "\u202e", "*"]


class Two:
    """Amina with some talks, and Jonas, who is signed in."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.things = Things(house)
        self.talks = [self.things.talk_id, *(house.begin_silent(AMINA) for _ in range(4))]
        self.amina, self.jonas = house.customer(AMINA), house.customer(JONAS)

    def answer(self, browser: Browser, route: Asked, talk_id: str) -> tuple[int, str]:
        answer = self.things.send(route, browser, talk_id=talk_id)
        return answer.status_code, _anonymous(answer, talk_id)


def _anonymous(answer: httpx.Response, talk_id: str) -> str:
    text = answer.text.replace(talk_id, "ID").replace(answer.headers.get("location", "\0"), "")
    return re.sub(r"[0-9a-f]{32}", "NEW", text)


@pytest.fixture(scope="module")
def two(house: House) -> Iterator[Two]:
    yield Two(house)


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(route=st.sampled_from(WITH_A_TALK), mine=st.integers(0, 4), seed=st.integers(0, 16**31 - 1))
def test_another_customers_talk_is_as_one_that_is_not_there(
    two: Two, route: Asked, mine: int, seed: int
) -> None:
    talk_id = two.talks[mine]
    nowhere = f"g{seed:031x}"  # no id that a page could begin a talk with
    before = two.house.dump()

    theirs = two.answer(two.jonas, route, talk_id)
    nothing = two.answer(two.jonas, route, nowhere)

    assert theirs[0] == nothing[0] == 404
    assert theirs[1] == nothing[1]
    assert two.house.dump() == before


@pytest.mark.parametrize("route", WITH_A_TALK, ids=lambda each: each.name)
def test_the_customers_own_talk_is_there(two: Two, route: Asked) -> None:
    if route.method == "GET":
        assert two.things.send(route, two.amina).status_code == 200


@pytest.mark.parametrize("odd", ODD_IDS)
@pytest.mark.parametrize("route", WITH_A_TALK, ids=lambda each: each.name)
def test_an_odd_id_is_not_there_either(two: Two, route: Asked, odd: str) -> None:
    before = two.house.dump()

    answer = two.things.send(route, two.jonas, talk_id=odd)

    # ".." is gone before anything is asked: that leads to the first page.
    assert answer.status_code in (404, 405) or answer.headers.get("location") == "/chat/"
    assert two.house.dump() == before


@pytest.mark.parametrize("field", ["customer", "customer_id", "as", "sub", "email", "id", "user"])
def test_who_one_is_comes_from_the_session_alone(two: Two, field: str) -> None:
    """Not from a form, an address or a header."""
    amina = str(two.house.customer_id(AMINA))
    headers = {"x-customer": amina, "x-forwarded-user": two.house.email(AMINA)}

    page = two.jonas.http.get("/chat/new", params={field: amina}, headers=headers)
    fields = {"text": "Mine?", "message_id": new_id(), field: amina}
    sent = two.jonas.http.post(f"/chat/talks/{two.talks[1]}/messages", data=fields)
    listed = two.jonas.http.get("/chat/talks", params={field: amina}, headers=headers)

    assert "Jonas Weber" in page.text and "Amina" not in page.text
    assert sent.status_code in (404, 409) and two.house.lines(two.talks[1]) == []
    assert not any(talk_id in listed.text for talk_id in two.talks)


def test_a_customers_pages_hold_nothing_of_another(two: Two) -> None:
    """Neither names, addresses, orders nor lines."""
    for path in ("/chat/new", "/chat/talks", "/chat/"):
        text = two.jonas.open(path).answer.text
        assert "A-1201" not in text and "Amina" not in text
        assert two.house.email(AMINA) not in text


def test_an_account_is_linked_to_who_is_signed_in_and_to_nobody_else(two: Two) -> None:
    account, code = two.things.account, two.things.code
    amina = str(two.house.customer_id(AMINA))

    answer = two.jonas.http.post(
        f"/chat/link/{code}",
        params={"customer": amina},
        data={"customer": amina, "as": amina, "customer_id": amina},
    )

    assert answer.status_code == 200
    with reading(two.house.records) as session:
        found = reaching.customer_of_account(session, "teams", account)
    assert found == two.house.customer_id(JONAS)
