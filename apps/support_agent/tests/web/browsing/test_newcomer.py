"""The whole story as a newcomer plays it, customer and supervisor each at their own browser."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from apps.support_agent.tests.web.browsing.conftest import Customer
from apps.support_agent.tests.web.place import AMINA, Place
from tests.browser.conftest import Picture

pytestmark = [pytest.mark.slow, pytest.mark.browser]

UNDO_MILLISECONDS = 30_000  # ten seconds to take a decision back, and some patience


def say(page: Page, text: str) -> None:
    page.get_by_role("textbox").fill(text)
    page.keyboard.press("Enter")


def told(page: Page, words: str) -> Locator:
    return page.get_by_text(re.compile(words)).last


def test_a_double_charge_from_the_first_word_to_the_money(
    place: Place, customer: Customer, staff: Customer, picture: Picture
) -> None:
    amina = customer(AMINA).page
    amina.goto("/chat/")
    say(amina, "I was charged twice for order A-1201")
    expect(told(amina, "one too many.*double-charges.*Shall I open a case")).to_be_visible()
    say(amina, "yes please")
    expect(told(amina, "I opened case R-1001")).to_be_visible()
    say(amina, "How long does delivery take?")  # something else, while the case waits
    expect(told(amina, "delivery-times")).to_be_visible()
    picture(amina, "waits")

    lena = staff("lena").page
    lena.clock.install()
    lena.goto("/?text=A-1201")
    lena.locator(".row-link").first.click()
    panel = lena.locator("[data-approval]")
    expect(panel).to_contain_text("I was charged twice for order A-1201")
    expect(panel.get_by_role("link", name=re.compile("Evidence"))).to_be_visible()
    panel.locator("input.number").fill("100.00")
    picture(lena, "decides")
    lena.clock.fast_forward(1_000)  # a panel that has just come takes no decision
    panel.get_by_role("button", name="Approve with changes").click()

    expect(told(amina, "You get 100.00 EUR back")).to_be_visible(timeout=UNDO_MILLISECONDS)
    picture(amina, "told")
    say(amina, "What is the status of case R-1001?")
    expect(told(amina, "100.00 EUR was refunded, of the 129.70 EUR")).to_be_visible()
    (case,) = (each for each in place.cases(AMINA) if each.id == "R-1001")
    assert (case.status, str(case.refunded_amount)) == ("refunded", "100.00")
