"""The customer's page as a browser without scripts sees it, and what the script asks for."""

import asyncio
import json

import httpx
import pytest

from apps.support_agent.tests.web.place import AMINA, DOUBLE, JONAS, LUCAS, MEI, Place
from support_agent.agent.budget import LONGEST_MESSAGE_CHARACTERS
from support_agent.live import HUB
from support_agent.web import create_chat
from support_agent.web.forms import new_id

pytestmark = pytest.mark.slow


def test_who_comes_first_chooses_a_customer_and_is_told_that_nobody_signs_in(place: Place) -> None:
    visitor = place.customer()

    page = visitor.open("/chat/")
    signed_in = visitor.http.post(
        "/chat/sign-in", data={"customer": str(place.customer_id(MEI))}, follow_redirects=False
    )

    names = [each.text for each in page.root.all("button", name="customer")]
    assert AMINA in names[0] and "no password" in page.main
    assert "anyone on this machine can act" in page.text
    cookie = signed_in.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/chat" in cookie
    assert MEI in visitor.open("/chat/").text


@pytest.mark.parametrize("given", ["", "0", "999999", "-1", "1 or 1=1", "\u0661", "9" * 40])
def test_a_customer_who_does_not_exist_cannot_be_chosen_nor_kept(place: Place, given: str) -> None:
    visitor = place.customer()

    assert visitor.send("/chat/sign-in", customer=given).status_code == 404
    page = visitor.http.get("/chat/new", headers={"cookie": f"support-customer={given.encode()!r}"})
    assert page.url.path == "/chat/"


def test_signing_out_ends_it(place: Place) -> None:
    amina = place.customer(AMINA)

    page = amina.press(amina.open("/chat/new"), "/sign-out")

    assert "Who are you?" in page.main and "support-customer" not in amina.http.cookies


def test_a_new_talk_offers_examples_from_the_customers_own_orders_that_fill_the_box(
    place: Place,
) -> None:
    amina = place.customer(AMINA)
    page = amina.open("/chat/new")

    examples = page.root.one("ul", class_="examples").all("a")
    filled = amina.open("/chat/" + examples[0]["href"])

    assert len(examples) == 4
    assert filled.root.one("textarea").raw == DOUBLE
    assert "A-1202" in page.root.one("ul", class_="orders").text


def test_each_example_gets_the_answer_that_it_promises(place: Place) -> None:
    page = place.customer(MEI).open("/chat/new")
    examples = [a.all("span")[-1].text for a in page.root.one("ul", class_="examples").all("a")]

    answers = [place.lines(place.begin(MEI, text))[-1].text for text in examples]

    expected = [
        "nothing was charged twice",
        "(broken-items)",
        "(refund-approval)",
        "opened case E-",
    ]
    assert [word in answer for word, answer in zip(expected, answers, strict=True)] == [True] * 4


def test_a_first_message_begins_the_talk_and_a_reload_shows_the_answer(place: Place) -> None:
    amina = place.customer(AMINA)

    sent = amina.press(amina.open("/chat/new"), "/messages", text=DOUBLE)
    talk_id = sent.path.split("/")[-1]
    place.until(lambda: len(place.lines(talk_id)) == 2)
    page = amina.open(sent.path)

    assert sent.path.startswith("/chat/talks/")
    lines = page.root.one("div", class_="log").all("li", class_="line")
    assert "You just now" in lines[0].text and DOUBLE in lines[0].text
    assert "129.70 EUR" in lines[1].text and "Assistant" in lines[1].text
    source = lines[1].one("ul", class_="sources").one("a")
    assert "Charged twice" in source.text
    assert "A real double charge" in amina.open(source["href"]).main
    assert "offline model" in page.main
    assert amina.open("/chat/").path == sent.path


def test_the_same_message_sent_again_counts_once(place: Place) -> None:
    amina = place.customer(AMINA)
    path, id = f"/chat/talks/{new_id()}", new_id()

    answers = [amina.send(f"{path}/messages", text="Hello", message_id=id) for _ in range(3)]
    talk_id = path.split("/")[-1]
    place.until(lambda: len(place.lines(talk_id)) == 2)
    again = amina.send(f"{path}/messages", text="Hello", message_id=id)

    assert [each.status_code for each in [*answers, again]] == [202] * 4
    assert [line.author for line in place.lines(talk_id)] == ["customer", "agent"]


@pytest.mark.parametrize("text", ["", "  \n ", "x" * (LONGEST_MESSAGE_CHARACTERS + 1)])
def test_what_is_no_message_is_refused_in_words_and_begins_no_talk(place: Place, text: str) -> None:
    amina = place.customer(AMINA)
    path, id = f"/chat/talks/{new_id()}/messages", new_id()

    part = amina.send(path, text=text, message_id=id)
    page = amina.send(path, part=False, text=text, message_id=id)

    assert (part.status_code, page.status_code) == (422, 422)
    assert part.headers["content-type"].startswith("text/plain") and part.text
    assert id in page.text and part.text[:20] in page.text
    assert text.strip() in page.text
    assert amina.http.get(path.removesuffix("/messages")).status_code == 404


def test_who_writes_too_fast_is_told_when_to_come_again_and_keeps_their_words(place: Place) -> None:
    talk_id = place.begin(JONAS, "Hello")
    jonas = place.customer(JONAS)
    path = f"/chat/talks/{talk_id}/messages"

    answers = [jonas.send(path, text=f"Word {n}", message_id=new_id()) for n in range(8)]
    page = jonas.send(path, part=False, text="Last words", message_id=new_id())

    refused = [each for each in answers if each.status_code == 429]
    assert refused and int(refused[0].headers["retry-after"]) > 0
    assert "try again in" in refused[0].text
    assert page.status_code == 429 and "Last words" in page.text


def test_another_customers_talk_is_not_there(place: Place) -> None:
    talk_id = place.begin(AMINA, "This is secret.")
    jonas = place.customer(JONAS)
    path = f"/chat/talks/{talk_id}"

    answers = [jonas.http.get(path + rest) for rest in ("", "/news", "/stream")]
    answers.append(jonas.send(f"{path}/messages", text="Hello", message_id=new_id()))
    unknown = jonas.http.get(f"/chat/talks/{new_id()}")

    assert [each.status_code for each in answers] == [404] * 4
    assert answers[0].text == unknown.text.replace(unknown.url.path, path)
    assert not any("secret" in each.text for each in answers)
    assert len(place.lines(talk_id)) == 2


def test_who_is_signed_out_is_led_to_the_door_or_told(place: Place) -> None:
    talk_id = place.begin_silent(AMINA)
    visitor = place.customer()
    path = f"/chat/talks/{talk_id}"

    assert [visitor.open(each).path for each in (path, "/chat/new", "/chat/talks")] == [
        "/chat/"
    ] * 3
    part = visitor.http.get(f"{path}/news", headers={"x-part": "yes"})
    assert part.status_code == 401
    assert visitor.send(f"{path}/messages", text="x", message_id=new_id()).status_code == 401


def test_the_script_gets_only_new_lines_and_all_cards(place: Place) -> None:
    talk_id = place.begin(MEI, "I would like to speak to a person, please.")
    case_id = place.until(lambda: [each for each in place.cases(MEI) if each.is_open])[0].id
    place.line(talk_id, "agent", "Third.", case_id=case_id)
    mei = place.customer(MEI)

    news = mei.open(f"/chat/talks/{talk_id}/news?after=2").root
    nothing = mei.open(f"/chat/talks/{talk_id}/news?after=99").root

    assert [each["data-line"] for each in news.all("li", class_="line")] == ["3"]
    assert news.one("section", data_case=case_id)["data-form"] == "whole"
    assert news.one("div", data_head="")["data-mode"] == "waiting"
    assert not nothing.all("li", class_="line") and nothing.all("section", data_case=case_id)


def test_a_long_talk_shows_its_end_and_the_rest_a_link_away(place: Place) -> None:
    talk_id = place.begin_silent(LUCAS)
    for number in range(100):
        place.line(talk_id, "customer", f"Number {number}.", LUCAS)
    lucas = place.customer(LUCAS)

    page = lucas.open(f"/chat/talks/{talk_id}")
    whole = lucas.open(f"/chat/talks/{talk_id}?all=1")

    assert "Show 20 earlier messages" in page.main and "Number 19." not in page.main
    assert "Number 20." in page.main and "Number 99." in page.main
    assert "Number 0." in whole.main and "earlier" not in whole.main


def test_the_stream_tells_what_happens_until_the_answer_is_whole(place: Place) -> None:
    talk_id = place.begin(AMINA, "Hello")
    amina = place.customer(AMINA)
    heard: list[str] = []

    with amina.http.stream("GET", f"/chat/talks/{talk_id}/stream") as stream:
        for line in stream.iter_lines():
            if line == "event: changed" and line not in heard:
                amina.send(f"/chat/talks/{talk_id}/messages", text=DOUBLE, message_id=new_id())
            heard.append(line)
            if line == "data: off":
                break

    assert stream.headers["content-type"].startswith("text/event-stream")
    assert heard.index("data: on") < heard.index("event: delta") < heard.index("data: off")
    pieces = [json.loads(line[6:]) for line in heard if line.startswith("data: {")]
    last = [each["text"] for each in pieces if each["answer"] == pieces[-1]["answer"]]
    assert "".join(last) == place.lines(talk_id)[-1].text


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/chat/sign-in", "/chat/sign-out", "/chat/talks/x/messages"])
def test_a_page_of_another_origin_may_not_act(
    place: Place, path: str, headers: dict[str, str]
) -> None:
    fields = {"customer": str(place.customer_id(AMINA))}

    answer = place.customer(AMINA).http.post(path, data=fields, headers=headers)

    assert answer.status_code in (403, 421) and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": "https://shop.example", "sec-fetch-site": "same-origin"}, 303),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://shop.example.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
    ],
)
def test_the_pages_ask_for_the_origin_themselves_wherever_they_are_mounted(
    place: Place, headers: dict[str, str], status: int
) -> None:
    async def act() -> int:
        chat = httpx.ASGITransport(create_chat(place.client, HUB, "offline model", place.people))
        async with httpx.AsyncClient(transport=chat, base_url="https://shop.example") as http:
            return (await http.post("/sign-out", data={"x": ""}, headers=headers)).status_code

    assert asyncio.run(act()) == status


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b'{"text": "x"}', "application/json", 415),
        (b"text=%ff&message_id=12345678", "application/x-www-form-urlencoded", 400),
        (b"text=x&message_id=1", "application/x-www-form-urlencoded", 400),
        (b"text=x", "application/x-www-form-urlencoded", 400),
        (b"text=" + b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(50)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_what_is_no_form_of_ours_is_refused(
    place: Place, body: bytes, kind: str, status: int
) -> None:
    path = f"/chat/talks/{place.begin_silent(AMINA)}/messages"

    answer = place.customer(AMINA).http.post(path, content=body, headers={"content-type": kind})

    assert answer.status_code == status and "Traceback" not in answer.text


def test_every_answer_allows_nothing_of_other_origins_and_is_not_kept(place: Place) -> None:
    amina = place.customer(AMINA)
    paths = ["/chat/", "/chat/new", "/chat/talks", "/chat/nothing", "/chat/articles/refunds"]

    for path in paths:
        headers = amina.http.get(path).headers
        assert headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
    page = amina.open("/chat/new")
    script = page.root.one("script")["src"]
    kept = amina.http.get(script)
    assert kept.status_code == 200 and "immutable" in kept.headers["cache-control"]
    assert amina.http.get("/chat/static/../site.py").status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(place: Place, method: str) -> None:
    amina = place.customer(AMINA)
    talk_id = place.begin_silent(AMINA)

    for path in ("", "/new", "/talks", f"/talks/{talk_id}", "/sign-in", "/sign-out"):
        amina.http.request(method, f"/chat{path}")
    amina.http.request(method, f"/chat/talks/{talk_id}/messages?text=x&message_id=12345678")

    assert place.lines(talk_id) == []
    assert amina.http.cookies["support-customer"] == str(place.customer_id(AMINA))


def test_an_article_that_is_not_there_is_not_there(place: Place) -> None:
    amina = place.customer(AMINA)

    assert amina.open("/chat/articles/nothing").status == 404
    assert amina.http.get("/chat/articles/..%2f..%2fetc").status_code == 404
