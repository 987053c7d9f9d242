"""The whole story in Teams: real processes, a connector over real HTTP, and kill -9."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.support_agent.tests.teams_out.fake_connector import BROKEN, FakeConnector, Fault
from apps.support_agent.tests.teams_story.house import DOUBLE, House, actions_of, words_of
from support_agent.shop.database import reading
from support_agent.shop.ledger import entries

pytestmark = pytest.mark.slow


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    connector = FakeConnector()
    with connector.serving() as service_url:
        house = House(tmp_path, connector, service_url)
        try:
            yield house
        finally:
            house.stop()


def open_case(house: House) -> None:
    for supervisor in ("lena", "grace"):
        house.join(supervisor)
        house.told(supervisor, "comes here as a card")
    house.link("amina")
    house.write("amina", DOUBLE)
    house.told("amina", "129.70 EUR", "(double-charges)")
    house.write("amina", "yes please")
    house.told("amina", "R-1001")
    for supervisor in ("lena", "grace"):
        house.until(lambda who=supervisor: house.cards(who), f"a card for {supervisor}")


def paid(house: House) -> list[str]:
    with reading(house.shop) as session:
        return [str(entry.receipt.amount) for entry in entries(session, "R-1001")]


def test_asked_in_teams_decided_in_teams_told_in_teams(house: House) -> None:
    open_case(house)
    [card] = house.cards("lena")
    assert "129.70" in words_of(card) and DOUBLE in words_of(card)

    typed = {"field.amount": "100.00", "field.reason": "The rest was paid by voucher."}
    answer = house.press("lena", card, "approve", id="click-1", **typed)

    assert answer["statusCode"] == 200
    assert "Approved with changes by Lena Fischer" in words_of(answer["value"])
    assert actions_of(answer["value"]) == []
    house.until(
        lambda: "by Lena Fischer" in words_of(house.cards("grace")[0]), "Grace's card to say so"
    )
    assert len(house.cards("grace")) == 1 and actions_of(house.cards("grace")[0]) == []
    house.told("amina", "100.00 EUR back", "voucher")
    again = house.press("lena", card, "approve", id="click-1", **typed)
    assert again["statusCode"] == 200, "redelivered"
    for _ in range(2):
        house.write("amina", "What is the status of my case R-1001?", id="status-1")
    house.told("amina", "R-1001", "100.00 EUR", "refunded")
    assert paid(house) == ["100.00"]
    outcomes = [text for text in house.texts("amina") if text.startswith("You get")]
    assert len(outcomes) == 1
    assert any(shown.growth for shown in house.shown("amina")), "an answer grew"


def test_a_decision_on_the_page_updates_the_cards(house: House) -> None:
    open_case(house)
    with house.http as http:
        found = http.get(
            "/api/v1/inbox", params={"case": "R-1001"}, headers=house.as_person("grace")
        ).json()
        [row] = found["rows"]
        action = {"do": "reject", "version": row["version"], "reason": "It was one charge."}
        answer = http.post(
            f"/api/v1/approvals/{row['id']}/actions",
            json=action,
            headers=house.as_person("grace"),
        )
        assert answer.status_code == 200, answer.text
    house.until(
        lambda: all(
            "Rejected by Grace Okafor" in words_of(house.cards(who)[0]) for who in ("lena", "grace")
        ),
        "both cards to say so",
    )
    house.told("amina", "We cannot refund it: It was one charge.")
    assert all(actions_of(house.cards(who)[0]) == [] for who in ("lena", "grace"))


def test_killed_between_the_decision_and_the_word_to_the_customer(house: House) -> None:
    open_case(house)
    [card] = house.cards("lena")
    answer = house.press("lena", card, "approve", **{"field.amount": "20.00"})
    assert answer["statusCode"] == 200

    house.kill()
    assert not any("EUR back" in text for text in house.texts("amina"))
    house.start()

    house.told("amina", "20.00 EUR back")
    house.write("amina", "Thank you")
    house.until(lambda: "EUR back" not in house.texts("amina")[-1], "the answer after it")
    assert sum("EUR back" in text for text in house.texts("amina")) == 1
    assert paid(house) == ["20.00"]
    for supervisor in ("lena", "grace"):
        house.until(
            lambda who=supervisor: "by Lena Fischer" in words_of(house.cards(who)[0]),
            "the cards to say so",
        )


def test_teams_is_down_for_a_while_and_nothing_is_lost(house: House) -> None:
    open_case(house)
    limited = Fault(429, retry_after="1")
    house.connector.plan(limited, BROKEN, limited)
    house.write("amina", "How long does delivery take?")
    house.write("amina", "And what does it cost?")
    before = len(house.texts("amina"))
    house.until(lambda: len(house.texts("amina")) >= before + 2 or None, "both answers")
