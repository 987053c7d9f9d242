"""Saying that an account of another channel is one's own: looking does nothing, and once is all."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from apps.support_agent.tests.web.place import AMINA, FORM, JONAS, Browser, Place
from support_agent.channels.open import CHANNELS
from support_agent.channels.port import Address, Text
from support_agent.channels.testing import FakeChannel
from support_agent.clock import now
from support_agent.shop import reaching
from support_agent.shop.database import reading, writing
from support_agent.web.forms import new_id

pytestmark = pytest.mark.slow

OPEN_TABS = 4


@pytest.fixture
def channel() -> Iterator[FakeChannel]:
    CHANNELS["teams"] = FakeChannel("teams")
    yield CHANNELS["teams"]  # pyright: ignore[reportReturnType]  # put there above
    del CHANNELS["teams"]


class Offered:
    """An account of its own for each test, and the code that it was sent."""

    def __init__(self, place: Place, name: str = "Amina at work") -> None:
        self._place = place
        self.account = f"tenant/{new_id()}"
        self.address = Address("teams", {"conversation": f"chat-{self.account}"})
        self.code = self.offer(name=name)

    def offer(self, *, name: str = "Amina at work", ago: timedelta = timedelta(0)) -> str:
        code = new_id()
        with writing(self._place.records) as session:
            assert reaching.offer_link(
                session,
                code,
                account=self.account,
                name=name,
                address=self.address,
                now=now() - ago,
            )
        return code

    @property
    def path(self) -> str:
        return f"/chat/link/{self.code}"

    @property
    def customer(self) -> int | None:
        with reading(self._place.records) as session:
            return reaching.customer_of_account(session, "teams", self.account)

    @property
    def is_open(self) -> bool:
        with reading(self._place.records) as session:
            return reaching.offered(session, self.code, now()) is not None


def post(browser: Browser, path: str, **headers: str) -> httpx.Response:
    return browser.http.post(path, content="", headers={**FORM, **headers}, follow_redirects=False)


def test_the_customer_is_asked_by_name_and_links_once(place: Place, channel: FakeChannel) -> None:
    offered = Offered(place)
    amina = place.customer(AMINA)
    page = amina.open(offered.path)
    assert page.status == 200 and "Amina at work" in page.main and "Microsoft Teams" in page.main
    done = amina.press(page, offered.path)
    assert "Amina at work in Microsoft Teams is now linked to Amina Diallo" in done.main
    assert offered.customer == place.customer_id(AMINA)
    greeted = place.until(lambda: channel.messages(offered.address))
    assert [each.text for each in greeted if isinstance(each, Text)] == [
        "This account is now linked to Amina Diallo. Ask me about your orders and refunds."
    ]
    again = amina.press(page, offered.path)
    assert again.status == 410 and "This link has ended" in again.main
    assert offered.customer == place.customer_id(AMINA)
    assert len(channel.messages(offered.address)) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("who", ["", AMINA])
def test_looking_changes_nothing_and_spends_nothing(place: Place, method: str, who: str) -> None:
    offered = Offered(place)
    browser = place.customer(who)
    for _ in range(3):
        browser.http.request(method, offered.path)
    assert offered.customer is None and offered.is_open


def test_nobody_signed_in_links_nothing(place: Place) -> None:
    offered = Offered(place)
    assert post(place.customer(), offered.path).status_code == 401
    assert post(place.person("lena"), offered.path).status_code == 401
    assert offered.customer is None and offered.is_open


def test_who_is_not_signed_in_does_so_and_comes_back(place: Place) -> None:
    offered = Offered(place)
    browser = place.customer()
    page = browser.open(offered.path)
    assert "Who are you?" in page.main
    back = browser.press(page, "/sign-in", customer=str(place.customer_id(JONAS)))
    assert back.path == offered.path and "Link it to Jonas Weber" in back.main
    assert offered.customer is None and offered.is_open


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "//evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "/\\evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa/../../talks",
        "/link/../sign-out/aaaaaaaaaaaaaaaaaaaa",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa?next=//evil.example",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa#@evil.example",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa\n",
        "/link/aaaaaaaaaaaaaaaaaaaaaaaa\r\nset-cookie: a=b",
        "@evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        ".evil.example/link/aaaaaaaaaaaaaaaaaaaaaaaa",
        "javascript:alert(1)//link/aaaaaaaaaaaaaaaaaaaa",
        "/talks",
        "/link/short",
        "/link/" + "a" * 81,
    ],
)
def test_signing_in_leads_to_a_link_and_nowhere_else(place: Place, elsewhere: str) -> None:
    answer = place.customer().send(
        "/chat/sign-in", part=False, customer=str(place.customer_id(AMINA)), next=elsewhere
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/chat/"
    assert set(answer.headers.get_list("set-cookie")) == {answer.headers["set-cookie"]}


@pytest.mark.parametrize(
    "code",
    [
        "unknownunknownunknownunknown",
        "short",
        "a" * 81,
        "%00" * 24,
        "%E2%80%AE" * 24,
        "%3Cscript%3Ealert(1)%3C/script%3E",
        "..%2F..%2Ftalks",
        "' OR 1=1 --aaaaaaaaaaaaaaaaaa",
        "a" * 4_000,
    ],
)
def test_a_code_that_nobody_was_sent_has_ended(place: Place, code: str) -> None:
    for browser in (place.customer(), place.customer(AMINA)):
        page = browser.open(f"/chat/link/{code}")
        assert page.status in (404, 410), code
        assert "script" not in {each.tag for each in page.root.one("main").all("script")}
    answer = post(place.customer(AMINA), f"/chat/link/{code}")
    assert answer.status_code in (303, 404)
    assert answer.headers.get("location", "/chat/link/").startswith("/chat/link/")


def test_a_code_that_is_too_old_links_nothing(place: Place) -> None:
    offered = Offered(place)
    offered.code = offered.offer(ago=reaching.CODE_LIFE + timedelta(seconds=1))
    amina = place.customer(AMINA)
    page = amina.open(offered.path)
    assert page.status == 410 and "older than half an hour" in page.main
    assert post(amina, offered.path).status_code == 303
    assert offered.customer is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:1"},
    ],
)
def test_a_page_of_another_origin_links_nothing(place: Place, headers: dict[str, str]) -> None:
    offered = Offered(place)
    assert post(place.customer(AMINA), offered.path, **headers).status_code == 403
    assert offered.customer is None and offered.is_open


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
def test_what_is_no_form_links_nothing(place: Place, kind: str) -> None:
    offered = Offered(place)
    answer = post(place.customer(AMINA), offered.path, **{"content-type": kind})
    assert answer.status_code == 415
    assert offered.customer is None and offered.is_open


def test_of_two_customers_with_one_code_one_has_it(place: Place, channel: FakeChannel) -> None:
    offered = Offered(place)
    browsers = [place.customer(name) for name in (AMINA, JONAS) for _ in range(OPEN_TABS)]
    start = threading.Barrier(len(browsers))
    answers: dict[int, list[int]] = {}

    def race(number: int) -> None:
        start.wait()
        answers[number] = [post(browsers[number], offered.path).status_code]

    racers = [threading.Thread(target=race, args=(each,)) for each in range(len(browsers))]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    codes = sorted(code for each in answers.values() for code in each)
    assert codes == [200, *[303] * (len(browsers) - 1)]
    [winner] = [number for number, each in answers.items() if each == [200]]
    name = AMINA if winner < OPEN_TABS else JONAS
    assert offered.customer == place.customer_id(name)
    place.until(lambda: channel.messages(offered.address))
    assert name in str(channel.messages(offered.address))


def test_a_new_code_makes_it_another_customers(place: Place, channel: FakeChannel) -> None:
    """After the shop has asked for it: the page never offers an account that is somebody's."""
    offered = Offered(place)
    assert post(place.customer(AMINA), offered.path).status_code == 200
    offered.code = offered.offer()
    assert post(place.customer(JONAS), offered.path).status_code == 200
    assert offered.customer == place.customer_id(JONAS)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<b>Amina</b><script>alert(1)</script>", "<b>Amina</b><script>alert(1)</script>"),
        ("\u202eanimA", "\u27e8U+202E\u27e9animA"),
        ("Amina\u200b\u0000Diallo\n\nLink it", "Amina\u27e8U+200B\u27e9"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}"),
        ("", "Microsoft Teams"),
        ("x" * 500, "x" * 80),
    ],
)
def test_the_accounts_name_is_shown_as_what_it_is(
    place: Place, channel: FakeChannel, name: str, shown: str
) -> None:
    offered = Offered(place, name=name)
    amina = place.customer(AMINA)
    page = amina.open(offered.path)
    done = amina.press(page, offered.path)
    for each in (page, done):
        assert each.status == 200
        assert shown in each.main
        assert "called  has" not in each.main and "  in Micro" not in each.main
        assert "\u202e" not in each.answer.text and "\u200b" not in each.answer.text
        assert each.root.one("main").all("script") == []
