"""What is written in a browser: nothing of it is lost, and none of it is said by somebody else."""

import pytest
from playwright.sync_api import Page, Route, expect

from apps.support_agent.tests.web.browsing.conftest import Customer
from apps.support_agent.tests.web.browsing.test_chat import PHONE, box, lines
from apps.support_agent.tests.web.place import AMINA, JONAS, LUCAS, MEI, Place
from support_agent.live import HUB, Typing
from support_agent.web import streams
from support_agent.web.identity import COOKIE
from tests.browser.conftest import Picture

pytestmark = [pytest.mark.slow, pytest.mark.browser]

ASK = "I would like to speak to a person, please."


def become(page: Page, place: Place, name: str) -> None:
    """In another tab: sign out, and in as somebody else."""
    value = str(place.customer_id(name))
    page.context.add_cookies(
        [{"name": COOKIE, "value": value, "domain": "127.0.0.1", "path": "/chat"}]
    )


def test_a_page_of_one_customer_says_nothing_as_another(place: Place, customer: Customer) -> None:
    amina = customer(AMINA)
    amina.page.goto("/chat/new")
    talk_id = amina.page.locator("[data-talk]").get_attribute("data-id") or ""
    become(amina.page, place, JONAS)

    with amina.watch.expecting("status of"):
        box(amina.page).fill("My secret")
        amina.page.keyboard.press("Enter")
        expect(amina.page.locator(".failed")).to_contain_text("Jonas Weber")

    assert not any(talk_id == talk.id for talk in place.talks(JONAS))


def test_what_one_customer_did_not_send_is_not_there_for_the_next_in_the_same_tab(
    place: Place, customer: Customer
) -> None:
    amina = customer(AMINA)
    page = amina.page
    page.goto("/chat/new")
    page.route("**/messages", lambda route: None)
    box(page).fill("My secret")
    with page.expect_request("**/messages"):
        page.keyboard.press("Enter")
    box(page).fill("My other secret")

    become(page, place, JONAS)
    page.goto("/chat/new")

    expect(box(page)).to_have_value("")
    expect(page.locator("[data-pending] li")).to_have_count(0)
    page.unroute("**/messages")
    become(page, place, AMINA)
    page.goto("/chat/new")
    expect(lines(page).first).to_contain_text("My secret")


def test_a_refused_message_does_not_take_the_place_of_what_is_being_written(
    place: Place, customer: Customer
) -> None:
    talk_id = place.begin(LUCAS, "Hello")
    lucas = customer(LUCAS)
    page = lucas.page
    page.goto(f"/chat/talks/{talk_id}")
    held: list[Route] = []
    page.route("**/messages", lambda route: held.append(route))
    text = "word " * 900 + "end"
    with lucas.watch.expecting("status of 422"):
        box(page).fill(text)
        with page.expect_request("**/messages"):
            page.keyboard.press("Enter")
        box(page).fill("The next one")
        held[0].continue_()
        expect(page.get_by_role("alert")).to_contain_text("too long")

    expect(box(page)).to_have_value(f"{text}\n\nThe next one")


def test_what_a_person_had_not_sent_is_still_there_when_the_talk_is_handed_back(
    place: Place, staff: Customer, picture: Picture
) -> None:
    talk_id = place.begin(MEI, ASK)
    if place.talk(talk_id).mode != "waiting":
        place.say(MEI, talk_id, "It is about my last order.")
    case_id = next(line.case_id for line in place.lines(talk_id) if line.case_id)
    place.approve(case_id, "lena")
    place.until(lambda: place.talk(talk_id).mode == "person")
    lena, grace = staff("lena").page, staff("grace").page
    for page in (lena, grace):
        page.goto(f"/talks/{talk_id}")
    box(lena).fill("A long and careful answer")

    grace.get_by_role("button", name="Hand back").click()

    expect(lena.locator("[data-closed]")).to_be_visible()
    expect(lena.locator("[data-pending]")).to_contain_text("A long and careful answer")
    expect(lena.locator("[data-pending]")).to_contain_text("Not sent.")
    picture(lena, "not-sent")


def test_a_page_that_cannot_listen_looks_for_itself(
    place: Place, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk_id = place.begin(MEI, "Hello")
    monkeypatch.setattr(streams, "STREAMS_LIMIT", 0)
    mei = customer(MEI)
    with mei.watch.expecting("status of 429"):
        mei.page.goto(f"/chat/talks/{talk_id}")
        expect(lines(mei.page)).to_have_count(2)

        place.line(talk_id, "agent", "By itself.")

        expect(lines(mei.page)).to_have_count(3)
        mei.page.goto("/chat/talks")


def test_a_reload_in_the_middle_of_an_answer_shows_that_it_is_on_its_way(
    place: Place, customer: Customer, picture: Picture
) -> None:
    talk_id = place.begin_silent(JONAS)
    place.line(talk_id, "customer", "Hello?", JONAS)
    page = customer(JONAS).page
    page.goto(f"/chat/talks/{talk_id}")

    expect(page.get_by_text("is writing")).to_be_visible()
    picture(page, "on-its-way")
    page.reload()
    expect(page.get_by_text("is writing")).to_be_visible()
    place.line(talk_id, "agent", "Hello!")
    HUB.publish(talk_id, Typing(False))
    expect(page.locator("[data-live]")).to_be_hidden()
    expect(lines(page)).to_have_count(2)


def test_nobody_is_shown_to_write_where_a_person_answers(place: Place, customer: Customer) -> None:
    talk_id = place.begin_silent(JONAS)
    place.line(talk_id, "customer", "Hello?", JONAS)
    place.mode(talk_id, "person", "lena")
    page = customer(JONAS).page
    page.goto(f"/chat/talks/{talk_id}")

    expect(page.locator("[data-head]")).to_contain_text("Lena Fischer of our team answers you")
    expect(page.locator("[data-live]")).to_be_hidden()


def test_the_box_is_ready_wherever_a_conversation_is_opened(
    place: Place, customer: Customer
) -> None:
    place.begin(JONAS, "Hello")
    page = customer(JONAS).page

    page.goto("/chat/")

    expect(box(page)).to_be_focused()


def test_a_talk_that_begins_gives_its_name_to_the_window(place: Place, customer: Customer) -> None:
    page = customer(JONAS).page
    page.goto("/chat/new")

    box(page).fill("Where is my order A-1204?")
    page.keyboard.press("Enter")

    expect(page).to_have_title("Where is my order A-1204? · Support")


def test_on_a_phone_a_conversation_opens_at_its_last_line_and_not_below_it(
    place: Place, staff: Customer
) -> None:
    talk_id = place.begin(MEI, "Hello")
    for number in range(20):
        place.line(talk_id, "agent", f"Number {number}.")
    lena = staff("lena", **PHONE).page

    lena.goto(f"/talks/{talk_id}#end")

    expect(lines(lena).last).to_be_in_viewport()
    expect(lena.get_by_role("link", name="Orders and cases")).to_be_in_viewport()
