"""A customer and a supervisor in two windows, on the whole shop."""

import pytest
from playwright.sync_api import Page, Route, expect

from apps.support_agent.tests.web.browsing.conftest import Customer
from apps.support_agent.tests.web.place import AMINA, DOUBLE, JONAS, LUCAS, MEI, Place
from support_agent.live import HUB, Changed, Delta, Typing
from support_agent.web.forms import new_id
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
UNDO_MILLISECONDS = 30_000  # an approval takes effect 10 s after it was given


def box(page: Page):
    return page.get_by_label("Your message")


def lines(page: Page):
    return page.locator("[data-lines] [data-line]")


def test_a_message_shows_at_once_and_its_answer_without_a_reload(
    place: Place, customer: Customer, picture: Picture
) -> None:
    page = customer(AMINA).page
    page.goto("/chat/new")
    expect(box(page)).to_be_focused()
    picture(page, "empty")
    page.get_by_role("link", name="A double charge").click()

    page.keyboard.press("Enter")

    expect(page.get_by_text(DOUBLE).last).to_be_visible()
    expect(box(page)).to_have_value("")
    expect(lines(page)).to_have_count(2)
    expect(lines(page).last).to_contain_text("129.70 EUR")
    expect(page.locator("[data-pending] li")).to_have_count(0)
    expect(page.locator("[data-live]")).to_be_hidden()
    assert "/chat/talks/" in page.url
    expect(page.locator(".talk-list a").first).to_contain_text("charged twice")
    assert axe(page) == []
    picture(page, "answered")
    page.reload()
    expect(lines(page)).to_have_count(2)


def test_an_answer_grows_and_a_second_attempt_begins_anew(
    place: Place, customer: Customer, picture: Picture
) -> None:
    talk_id = place.begin_silent(JONAS)
    place.line(talk_id, "customer", "Hello?", JONAS)
    page = customer(JONAS).page
    with page.expect_response("**/news*"):  # the stream is open
        page.goto(f"/chat/talks/{talk_id}")
    live = page.locator("[data-live]")

    HUB.publish(talk_id, Typing(True))
    expect(live).to_contain_text("is writing")
    picture(page, "typing")
    for word in ("I will ", "look <b>", "at"):
        HUB.publish(talk_id, Delta(word, "request/1"))
    expect(live.locator(".bubble")).to_have_text("I will look <b>at")
    picture(page, "streaming")
    HUB.publish(talk_id, Delta("Here it is.", "request/2"))
    expect(live.locator(".bubble")).to_have_text("Here it is.")
    place.line(talk_id, "agent", "Here it is. All of it.")
    HUB.publish(talk_id, Typing(False))
    HUB.publish(talk_id, Changed())

    expect(live).to_be_hidden()
    expect(lines(page).last).to_contain_text("Here it is. All of it.")


def test_a_page_that_comes_in_the_middle_of_an_answer_shows_no_half_of_it(
    place: Place, customer: Customer
) -> None:
    talk_id = place.begin_silent(JONAS)
    place.line(talk_id, "customer", "Hello?", JONAS)
    page = customer(JONAS).page
    with page.expect_response("**/news*"):
        page.goto(f"/chat/talks/{talk_id}")

    HUB.publish(talk_id, Delta("and a half", "request/1"))

    expect(page.locator("[data-live]")).to_contain_text("is writing")
    expect(page.locator("[data-live] .bubble")).to_have_text("")


def test_the_first_answer_of_a_talk_is_heard_from_its_beginning(
    place: Place, customer: Customer
) -> None:
    page = customer(JONAS).page
    page.goto("/chat/new")
    talk_id = page.locator("[data-talk]").get_attribute("data-id") or ""
    page.route("**/messages", lambda route: None)  # it is on its way for as long as we look

    box(page).fill("Hello?")
    with page.expect_request("**/messages"):
        page.keyboard.press("Enter")
    HUB.publish(talk_id, Typing(True))
    HUB.publish(talk_id, Delta("The first words", "request/1"))

    expect(page.locator("[data-live] .bubble")).to_have_text("The first words")


def test_shift_and_enter_makes_a_new_line(place: Place, customer: Customer) -> None:
    talk_id = place.begin(JONAS, "Hello")
    page = customer(JONAS).page
    page.goto(f"/chat/talks/{talk_id}")

    box(page).type("First line")
    page.keyboard.press("Shift+Enter")
    box(page).type("second <b>line</b>")
    page.keyboard.press("Enter")

    expect(lines(page).nth(2)).to_contain_text(
        "First line\nsecond <b>line</b>", use_inner_text=True
    )


def test_a_case_is_decided_in_another_window_and_its_card_and_message_come_by_themselves(
    place: Place, customer: Customer, staff: Customer, picture: Picture
) -> None:
    talk_id = place.begin(AMINA, DOUBLE)
    page = customer(AMINA).page
    page.goto(f"/chat/talks/{talk_id}")
    box(page).fill("yes please")
    page.keyboard.press("Enter")
    card = page.locator(".case")
    expect(card).to_contain_text("Waiting for a person")
    picture(page, "waiting")
    case_id = card.get_attribute("data-case") or ""
    lena = staff("lena").page
    lena.goto(f"/?view=all&text={case_id}")
    lena.locator(".row-link").first.click()
    expect(lena.locator("[data-approval]")).to_contain_text("129.70")

    place.approve(case_id, "lena", amount="100.00", reason="The rest was paid by voucher.")

    expect(card).to_contain_text("Refunded", timeout=UNDO_MILLISECONDS)
    expect(card).to_contain_text("€100.00 of €129.70 asked for")
    expect(lines(page).last).to_contain_text("100.00 EUR")
    expect(lines(page).last.locator(".pill")).to_contain_text("Refunded")
    picture(page, "refunded")
    assert axe(page) == []


def test_a_person_takes_over_writes_is_answered_and_hands_back(
    place: Place, customer: Customer, staff: Customer, picture: Picture
) -> None:
    page = customer(JONAS).page
    talk_id = place.begin(JONAS, "I would like to speak to a person, please.")
    page.goto(f"/chat/talks/{talk_id}")
    if place.talk(talk_id).mode != "waiting":
        box(page).fill("My parcel is wet.")
        page.keyboard.press("Enter")
    expect(page.locator("[data-head]")).to_contain_text("Waiting for a person")
    lena = staff("lena").page
    lena.goto("/talks/")
    lena.get_by_role("link", name=JONAS).click()
    expect(lena.locator("[data-closed]")).to_contain_text("Take it over in the inbox")
    picture(lena, "waits")
    case_id = page.locator("[data-case]").first.get_attribute("data-case") or ""

    place.approve(case_id, "lena")
    expect(page.locator("[data-head]")).to_contain_text("of our team")
    expect(lena.locator("[data-composer]")).to_be_visible()
    box(lena).fill("Good morning, this is Lena.")
    lena.keyboard.press("Enter")

    expect(page.locator(".line-person")).to_contain_text("Good morning, this is Lena.")
    expect(page.locator("[data-head]")).to_contain_text("Lena Fischer of our team answers you")
    box(page).fill("Thank you, Lena!")
    page.keyboard.press("Enter")
    expect(lena.locator(".line-customer").last).to_contain_text("Thank you, Lena!")
    picture(page, "customer")
    picture(lena, "person")
    assert axe(page) == axe(lena) == []
    lena.get_by_role("button", name="Hand back").click()
    expect(page.locator("[data-head]")).to_contain_text("assistant answers")
    expect(lines(page).last).to_contain_text("talking with the assistant again")


def test_what_is_written_offline_is_kept_and_sent_once_when_the_line_is_back(
    place: Place, customer: Customer, picture: Picture
) -> None:
    talk_id = place.begin(MEI, "Hello")
    mei = customer(MEI)
    mei.page.goto(f"/chat/talks/{talk_id}")
    expect(lines(mei.page)).to_have_count(2)

    with mei.watch.expecting("ERR_INTERNET_DISCONNECTED"):
        mei.context.set_offline(True)
        box(mei.page).fill("Are you there?")
        mei.page.keyboard.press("Enter")
        expect(mei.page.locator(".failed")).to_contain_text("Not sent. You are offline.")
        expect(mei.page.locator("#offline")).to_be_visible()
        picture(mei.page, "offline")
    mei.context.set_offline(False)

    expect(lines(mei.page)).to_have_count(4)
    expect(mei.page.locator("[data-pending] li")).to_have_count(0)
    expect(mei.page.locator("#offline")).to_be_hidden()
    assert [line.text for line in place.lines(talk_id)].count("Are you there?") == 1


def test_a_message_whose_answer_is_lost_is_tried_again_under_the_same_id(
    place: Place, customer: Customer
) -> None:
    talk_id = place.begin(MEI, "Hello")
    mei = customer(MEI)
    mei.page.goto(f"/chat/talks/{talk_id}")
    ids: list[str] = []

    def lose(route: Route) -> None:
        ids.append((route.request.post_data or "").split("message_id=")[1])
        if len(ids) == 1:
            route.fetch()  # it arrives, and its answer does not
            route.abort()
        else:
            route.continue_()

    mei.page.route("**/messages", lose)
    mei.page.route("**/news*", lambda route: route.abort())
    with mei.watch.expecting("ERR_FAILED"):
        box(mei.page).fill("How long does delivery take?")
        mei.page.keyboard.press("Enter")
        mei.page.get_by_role("button", name="Try again").click()
        expect(mei.page.locator(".sent")).to_be_visible()
        mei.page.unroute("**/news*")
        mei.page.reload()
        expect(lines(mei.page)).to_have_count(4)
        expect(mei.page.locator("[data-pending] li")).to_have_count(0)

    assert len(set(ids)) == 1
    assert [line.author for line in place.lines(talk_id)][2:] == ["customer", "agent"]


def test_a_reload_while_the_message_is_on_its_way_neither_loses_nor_doubles_it(
    place: Place, customer: Customer
) -> None:
    lucas = customer(LUCAS)
    lucas.page.goto("/chat/new")
    tries: list[Route] = []

    def hold_the_first(route: Route) -> None:
        tries.append(route)
        if len(tries) > 1:
            route.continue_()

    lucas.page.route("**/messages", hold_the_first)
    box(lucas.page).fill("Where is my order?")
    with lucas.page.expect_request("**/messages"):
        lucas.page.keyboard.press("Enter")
    expect(lucas.page.locator(".sending")).to_be_visible()

    lucas.page.reload()

    expect(lines(lucas.page)).to_have_count(2)
    said = [line.text for line in place.lines(lucas.page.url.split("/")[-1])]
    assert said.count("Where is my order?") == 1


def test_a_draft_survives_a_reload(place: Place, customer: Customer) -> None:
    talk_id = place.begin(MEI, "Hello")
    page = customer(MEI).page
    page.goto(f"/chat/talks/{talk_id}")
    box(page).fill("Not finished ye")

    page.reload()

    expect(box(page)).to_have_value("Not finished ye")


def test_a_message_that_is_too_long_goes_back_into_the_box_with_the_reason(
    place: Place, customer: Customer, picture: Picture
) -> None:
    talk_id = place.begin(LUCAS, "Hello")
    lucas = customer(LUCAS)
    lucas.page.goto(f"/chat/talks/{talk_id}")
    text = "word " * 900 + "end"

    with lucas.watch.expecting("status of 422"):
        box(lucas.page).fill(text)
        expect(lucas.page.locator("[data-count]")).to_contain_text("4,503 of 4,000")
        lucas.page.keyboard.press("Enter")
        expect(lucas.page.get_by_role("alert")).to_contain_text("too long")

    expect(box(lucas.page)).to_have_value(text)
    expect(lucas.page.locator("[data-pending] li")).to_have_count(0)
    picture(lucas.page, "too-long")


def test_who_writes_too_fast_is_told_and_may_try_again(place: Place, customer: Customer) -> None:
    talk_id = place.begin(LUCAS, "Hello")
    lucas = customer(LUCAS)
    lucas.page.goto(f"/chat/talks/{talk_id}")

    with lucas.watch.expecting("status of 429"):
        for number in range(8):
            box(lucas.page).fill(f"Number {number}")
            lucas.page.keyboard.press("Enter")
        expect(lucas.page.locator(".failed").first).to_contain_text("try again in")
        expect(lucas.page.get_by_role("button", name="Try again").first).to_be_visible()
        expect(lucas.page.locator(".sending")).to_have_count(0)  # whatever is refused is so by now


def test_who_reads_above_is_not_moved_and_told_of_what_is_new(
    place: Place, customer: Customer, picture: Picture
) -> None:
    talk_id = place.begin(AMINA, "Hello")
    for number in range(60):
        place.line(talk_id, "agent", f"Number {number}.\nAnd more.")
    page = customer(AMINA).page
    page.goto(f"/chat/talks/{talk_id}")
    log = page.locator("[data-log]")
    log.evaluate("log => log.scrollTop = 200")
    expect(log).to_have_js_property("scrollTop", 200)

    place.say(AMINA, talk_id, "Written in another window.")

    expect(page.get_by_role("button", name="New messages")).to_be_visible()
    assert log.evaluate("log => log.scrollTop") == 200
    picture(page, "new-messages")
    page.get_by_role("button", name="New messages").click()
    expect(lines(page).last).to_be_in_viewport()


def test_two_windows_of_one_customer_show_the_same(place: Place, customer: Customer) -> None:
    talk_id = place.begin(JONAS, "Hello")
    one, two = customer(JONAS).page, customer(JONAS).page
    for page in (one, two):
        page.goto(f"/chat/talks/{talk_id}")

    box(one).fill("From one window")
    one.keyboard.press("Enter")

    expect(lines(two)).to_have_count(4)
    expect(lines(one)).to_have_count(4)
    assert lines(one).all_inner_texts() == lines(two).all_inner_texts()


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202e" + "W" * 400


def test_hostile_text_stays_text_on_both_sides_also_while_it_is_sent(
    place: Place, customer: Customer, staff: Customer, picture: Picture
) -> None:
    talk_id = place.begin(MEI, "Hello")
    for author in ("agent", "person", "system"):
        place.line(talk_id, author, HOSTILE, HOSTILE)
    mei, lena = customer(MEI, **PHONE).page, staff("lena", **PHONE).page
    for page, path in ((mei, "/chat"), (lena, "")):
        page.goto(f"{path}/talks/{talk_id}")
    box(mei).fill(HOSTILE)
    mei.get_by_role("button", name="Send").click()

    expect(lena.locator(".line-customer").last).to_contain_text("<img src=x onerror=alert(1)>")

    expect(mei.locator("[data-pending] li")).to_have_count(0)
    for page, name in ((mei, "customer"), (lena, "staff")):
        assert page.locator("main img, main script, main style").count() == 0
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 360
        assert page.locator("[data-log]").evaluate("log => log.scrollWidth <= log.clientWidth")
        picture(page, name)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1440, 900), (360, 740)])
def test_every_page_is_accessible_and_fits_in_light_and_dark(
    place: Place,
    customer: Customer,
    staff: Customer,
    picture: Picture,
    scheme: str,
    size: tuple[int, int],
) -> None:
    talk_id = place.begin(JONAS, "What may I return?")
    options = {
        "color_scheme": scheme,
        "viewport": {"width": size[0], "height": size[1]},
    }
    jonas, lena = customer(JONAS, **options).page, staff("lena", **options).page
    for page, paths in (
        (jonas, ["/chat/new", f"/chat/talks/{talk_id}", "/chat/talks", "/chat/articles/refunds"]),
        (lena, ["/talks/", f"/talks/{talk_id}"]),
    ):
        for path in paths:
            page.goto(path)
            assert axe(page) == [], path
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
            picture(page, path.replace(talk_id, "one").strip("/").replace("/", "-"))
    jonas.goto("/chat/")
    jonas.locator(".who summary").click()
    jonas.get_by_role("button", name="Sign out").click()
    expect(jonas.get_by_role("heading", name="Who are you?")).to_be_visible()
    assert axe(jonas) == []


def test_without_scripts_a_message_is_sent_and_the_answer_found(
    place: Place, customer: Customer, picture: Picture
) -> None:
    page = customer(AMINA, java_script_enabled=False, **PHONE).page
    page.goto("/chat/new")
    page.get_by_role("link", name="Our rules").click()
    expect(box(page)).to_have_value("How long does a refund take?")

    page.get_by_role("button", name="Send").click()
    talk_id = page.url.split("/")[-1].removesuffix("#end")
    place.until(lambda: len(place.lines(talk_id)) == 2)
    page.get_by_role("link", name="Look again").click()

    expect(page.locator(".line-agent .bubble").first).to_contain_text("refund-approval")
    picture(page, "no-script")


def test_the_composer_stays_above_a_phones_keyboard(place: Place, customer: Customer) -> None:
    talk_id = place.begin(JONAS, "Hello")
    page = customer(JONAS, **PHONE).page
    page.goto(f"/chat/talks/{talk_id}")
    size = box(page).evaluate("box => getComputedStyle(box).fontSize")

    page.set_viewport_size({"width": 360, "height": 400})  # what a keyboard leaves

    expect(page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
    expect(lines(page).last).to_be_in_viewport()
    assert size == "16px"


def test_a_conversation_comes_back_live_after_the_server_was_away(
    place: Place, customer: Customer
) -> None:
    talk_id = place.begin(MEI, "Hello")
    mei = customer(MEI)
    mei.page.goto(f"/chat/talks/{talk_id}")
    expect(lines(mei.page)).to_have_count(2)

    with mei.watch.expecting("ERR_|Failed to load"):
        place.stop()
        box(mei.page).fill("Are you there?")
        mei.page.keyboard.press("Enter")
        expect(mei.page.locator(".failed")).to_contain_text("The server does not answer.")
        place.start()
        mei.page.get_by_role("button", name="Try again").click()
        expect(lines(mei.page)).to_have_count(4)

    place.line(talk_id, "agent", "By itself.")
    place.say(MEI, talk_id, "And again")
    expect(lines(mei.page)).to_have_count(7)


def test_the_list_of_those_who_wait_keeps_itself_true(
    place: Place, staff: Customer, picture: Picture
) -> None:
    lena = staff("lena").page
    lena.goto("/talks/")
    before = lena.locator(".waiting li").count()

    talk_id = place.begin(LUCAS, "I would like to speak to a person, please.")
    if place.talk(talk_id).mode != "waiting":
        place.say(LUCAS, talk_id, f"About order {new_id()[:4]}.")

    expect(lena.locator(".waiting li")).to_have_count(before + 1)
    picture(lena, "list")
