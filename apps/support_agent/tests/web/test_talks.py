"""The supervisors' conversations: who may look, who may write, and what they are told."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from apps.support_agent.tests.web.place import AMINA, JONAS, MEI, Place
from support_agent.live import HUB
from support_agent.web import create_talks
from support_agent.web.forms import new_id

ASK = "I would like to speak to a person, please."


def asked(place: Place, name: str) -> str:
    """A talk whose customer waits for a person."""
    talk_id = place.begin(name, ASK)
    if place.talk(talk_id).mode != "waiting":
        place.say(name, talk_id, "It is about my last order.")
    place.until(lambda: place.talk(talk_id).mode == "waiting")
    return talk_id


def case_of(place: Place, talk_id: str) -> str:
    return next(line.case_id for line in place.lines(talk_id) if line.case_id)


@pytest.fixture(scope="module")
def taken(place: Place) -> Iterator[str]:
    """Jonas' talk, which Lena has taken over."""
    talk_id = asked(place, JONAS)
    place.approve(case_of(place, talk_id), "lena")
    place.until(lambda: place.talk(talk_id).mode == "person")
    yield talk_id


def write(place: Place, person: str, talk_id: str, text: str) -> tuple[int, str]:
    path = f"/talks/{talk_id}/messages"
    answer = place.person(person).send(path, text=text, message_id=new_id())
    return answer.status_code, answer.text


@pytest.mark.slow
def test_who_is_nobody_is_asked_who_they_are_and_comes_back(place: Place, taken: str) -> None:
    visitor = place.person()

    page = visitor.http.get(f"/talks/{taken}")
    part = visitor.http.get("/talks/", headers={"x-part": "yes"})

    assert page.url.raw_path.decode() == f"/people?back=/talks/{taken}"
    assert part.status_code == 401
    assert (
        visitor.send(f"/talks/{taken}/messages", text="x", message_id=new_id()).status_code == 401
    )


@pytest.mark.slow
def test_who_has_no_role_reads_nothing_that_customers_write(place: Place, taken: str) -> None:
    sam = place.person("sam")

    pages = [sam.open(path) for path in ("/talks/", f"/talks/{taken}", f"/talks/{taken}/news")]
    stream = sam.http.get(f"/talks/{taken}/stream")

    assert [each.status for each in pages] == [403] * 3 and stream.status_code == 403
    assert "takes the role of approver" in pages[0].main and JONAS not in pages[1].text
    assert write(place, "sam", taken, "Hello")[0] == 403


@pytest.mark.slow
def test_an_auditor_reads_and_does_not_write(place: Place, taken: str) -> None:
    ivo = place.person("ivo")

    page = ivo.open(f"/talks/{taken}")
    sent = write(place, "ivo", taken, "Hello")

    assert ASK in page.main and not page.root.all("textarea")
    assert "takes the role of approver or lead" in page.main
    assert sent[0] == 403 and "approver or lead" in sent[1]


@pytest.mark.slow
def test_the_list_tells_who_waits_and_who_answers(place: Place, taken: str) -> None:
    waiting = asked(place, MEI)
    place.begin(AMINA, "Hello")

    rows = place.person("omar").open("/talks/").root.one("ul", class_="waiting").all("a")

    told = {row["href"].split("#")[0]: row.text for row in rows}
    assert set(told) == {f"/talks/{taken}", f"/talks/{waiting}"}
    assert JONAS in told[f"/talks/{taken}"] and "Lena Fischer" in told[f"/talks/{taken}"]
    assert MEI in told[f"/talks/{waiting}"] and "Waits for a person" in told[f"/talks/{waiting}"]


@pytest.mark.slow
def test_who_waits_is_taken_over_in_the_inbox_first(place: Place) -> None:
    talk_id = asked(place, MEI)
    case_id = case_of(place, talk_id)
    omar = place.person("omar")

    page = omar.open(f"/talks/{talk_id}")
    status, words = write(place, "omar", talk_id, "Hello")
    inbox = omar.open(next(a["href"] for a in page.root.all("a") if f"Open {case_id}" in a.text))

    assert not page.root.all("textarea") and "Take it over in the inbox" in page.main
    assert status == 409 and "Nobody has taken this conversation over" in words
    assert f"{MEI} asks for a person" in inbox.text


def test_a_conversation_stands_beside_the_customers_orders_and_cases(
    place: Place, taken: str
) -> None:
    page = place.person("lena").open(f"/talks/{taken}")
    beside = page.root.one("aside").text

    assert "jonas.weber@example.com" in beside and "A-1204" in beside
    assert case_of(place, taken) in beside and "bell is broken" in beside
    assert "You answer" in page.main and "Hand back" in page.main


@pytest.mark.slow
def test_what_a_person_writes_reaches_the_customer_under_their_name_once(
    place: Place, taken: str
) -> None:
    lena, path, id = place.person("lena"), f"/talks/{taken}/messages", new_id()

    answers = [lena.send(path, text="I am Lena.", message_id=id) for _ in range(2)]
    place.until(lambda: place.lines(taken)[-1].text == "I am Lena.")
    page = place.customer(JONAS).open(f"/chat/talks/{taken}")

    assert [each.status_code for each in answers] == [202, 202]
    assert [line.text for line in place.lines(taken)].count("I am Lena.") == 1
    assert "Lena Fischer" in page.root.all("li", class_="line-person")[-1].text
    assert "Lena Fischer of our team answers you" in page.main


@pytest.mark.slow
def test_somebody_else_does_not_write_into_it_and_a_lead_does(place: Place, taken: str) -> None:
    omar, grace = place.person("omar"), place.person("grace")

    status, words = write(place, "omar", taken, "Me too")

    assert status == 409 and "has taken this conversation over" in words
    assert not omar.open(f"/talks/{taken}").root.all("textarea")
    assert grace.open(f"/talks/{taken}").root.all("textarea")
    assert write(place, "grace", taken, "Grace here.")[0] == 202


def test_an_empty_or_endless_answer_is_refused_and_kept_in_the_box(
    place: Place, taken: str
) -> None:
    lena = place.person("lena")
    path = f"/talks/{taken}/messages"

    empty = lena.send(path, part=False, text=" ", message_id=new_id())
    endless = lena.send(path, part=False, text="long " * 1000, message_id=new_id())

    assert (empty.status_code, endless.status_code) == (422, 422)
    assert "Write something first." in empty.text
    assert "too long" in endless.text and "long long long" in endless.text


@pytest.mark.slow
def test_handing_back_lets_the_assistant_answer_again(place: Place) -> None:
    talk_id = asked(place, AMINA)
    place.approve(case_of(place, talk_id), "omar")
    place.until(lambda: place.talk(talk_id).mode == "person")
    omar = place.person("omar")

    refused = place.person("lena").send(f"/talks/{talk_id}/hand-back", message_id=new_id())
    page = omar.press(omar.open(f"/talks/{talk_id}"), "/hand-back")
    place.until(lambda: place.talk(talk_id).mode == "agent")
    answer = place.say(AMINA, talk_id, "Thank you")

    assert refused.status_code == 409
    assert page.status == 200 and "assistant answers" in omar.open(f"/talks/{talk_id}").main
    assert answer.author == "agent"
    assert place.until(lambda: place.cases(AMINA)[0].status == "closed")


def test_a_talk_that_is_not_there_is_not_there(place: Place) -> None:
    lena = place.person("lena")

    assert lena.open(f"/talks/{new_id()}").status == 404
    assert lena.http.get(f"/talks/{new_id()}/stream").status_code == 404
    assert write(place, "lena", new_id(), "x")[0] == 404


@pytest.mark.slow
def test_a_page_of_another_origin_may_not_act_as_a_person(place: Place, taken: str) -> None:
    fields = {"text": "Forged.", "message_id": new_id()}
    lena = place.person("lena")

    for path in ("messages", "hand-back"):
        answer = lena.http.post(
            f"/talks/{taken}/{path}", data=fields, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
    assert not any(line.text == "Forged." for line in place.lines(taken))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "part", "alone"),
    [("/", True, True), ("/", False, False), ("/{}/news", True, True), ("/{}", False, False)],
)
def test_what_an_open_page_asks_for_by_itself_says_so(
    place: Place, taken: str, path: str, part: bool, alone: bool
) -> None:
    """By that word the server tells whether its person is still there."""
    told: list[Any] = []
    staff = create_talks(place.client, HUB, place.people)

    async def listening(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope.setdefault("state", {}))
        await staff(scope, receive, send)

    async def ask() -> int:
        transport = httpx.ASGITransport(listening)
        headers = {"x-part": "yes"} if part else {}
        headers["cookie"] = "adjourn-person=lena"
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return (await http.get(path.format(taken), headers=headers)).status_code

    assert asyncio.run(ask()) == 200
    assert told[0].get("by_itself", False) is alone
