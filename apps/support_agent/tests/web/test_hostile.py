"""Texts that would be more than text, through every place where a page shows text."""

from decimal import Decimal

import pytest

from apps.support_agent.tests.web.place import Place
from support_agent.clock import now
from support_agent.shop import talks
from support_agent.shop.database import writing
from support_agent.shop.records import CaseRecord, Customer, Order, OrderItem
from support_agent.web.forms import new_id
from tests.dashboard.pages import Element, parse

pytestmark = pytest.mark.slow

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' autofocus onfocus=alert(1) x='",
    "</textarea><script>alert(1)</script>",
    "</title><base href=//evil.example>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!-- --><style>*{display:none}</style>",
    "&lt;b&gt; &#60;script&#62;",
    "<a href=https://evil.example>click</a>",
    "</li></ol></main><form action=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "[a link](javascript:alert(1)) **bold**",
    "photo\u202egnp.exe\u200b",
]
ELEMENTS = set(
    "html head meta title link script body a header span svg path rect p div details summary b "
    "form button nav ul li section h1 h2 h3 ol time input textarea main aside dl dt dd i".split()
)


def plant(place: Place, payload: str) -> tuple[int, str]:
    """A customer, an order, a case and a talk of which every text is the payload."""
    mark = new_id()[:8]
    with writing(place.records) as session:
        customer = Customer(email=f"{mark}@example.org", name=payload)
        session.add(customer)
        session.flush()
        order = Order(
            number=f"H-{int(mark, 16) % 10**8}",
            customer_id=customer.id,
            ordered_at=now(),
            currency="EUR",
            note=payload,
        )
        order.items = [OrderItem(sku="X", product=payload, quantity=1, unit_price=Decimal(1))]
        case = CaseRecord(
            id=f"E-{mark}",
            kind="escalation",
            customer_id=customer.id,
            reason=payload,
            outcome=payload,
            status="with_person",
            opened_at=now(),
        )
        session.add_all([order, case])
        session.flush()
        talk_id = new_id()
        talks.begin_talk(session, talk_id, customer_id=customer.id, now=now())
        session.flush()
        for author in ("customer", "agent", "person", "system"):
            talks.write_line(
                session,
                talk_id,
                author=author,
                name=payload,
                text=f"{payload} (refunds)",
                key=new_id(),
                said_at=now(),
                case_id=case.id if author == "agent" else "",
            )
        talks.set_mode(session, talk_id, "person", payload)
        return customer.id, talk_id


def check(root: Element, where: str) -> None:
    """Nothing that the templates do not write: no other element, no handler, no other address."""
    for each in root.walk():
        assert each.tag in {*ELEMENTS, ""}, f"<{each.tag}> in {where}"
        for name, value in each.attributes.items():
            assert not name.startswith("on") and name != "style", f"{name} in {where}"
            if name in ("href", "src", "action"):
                assert value.startswith(("/", "#", "?", "new?")), f"{name}={value} in {where}"
    assert "49" not in [each.text for each in root.all("h1")]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_stays_text_on_every_page(place: Place, payload: str) -> None:
    customer_id, talk_id = plant(place, payload)
    customer = place.customer()
    customer.send("/chat/sign-in", customer=str(customer_id))
    lena = place.person("lena")
    path = f"/chat/talks/{talk_id}"

    for browser, at in (
        (customer, path),
        (customer, f"{path}/news"),
        (customer, "/chat/new"),
        (customer, f"/chat/new?say={payload}"),
        (customer, "/chat/talks"),
        (lena, "/talks/"),
        (lena, f"/talks/{talk_id}"),
        (lena, f"/talks/{talk_id}/news"),
    ):
        page = browser.open(at)
        assert page.status == 200
        check(page.root, at)
    refused = customer.send(f"{path}/messages", part=False, text=payload * 400, message_id=new_id())
    check(parse(refused.text), "a refused message")


def test_what_a_supervisor_reads_is_what_the_customer_wrote(place: Place) -> None:
    for payload in PAYLOADS[:10]:
        _, talk_id = plant(place, payload)
        page = place.person("lena").open(f"/talks/{talk_id}")
        line = page.root.all("li", class_="line-customer")[0]
        assert line.one("p", class_="bubble").raw == f"{payload} (refunds)"


def test_characters_that_hide_are_shown_on_both_sides(place: Place) -> None:
    customer_id, talk_id = plant(place, PAYLOADS[-1])
    customer = place.customer()
    customer.send("/chat/sign-in", customer=str(customer_id))

    for page in (
        customer.open(f"/chat/talks/{talk_id}"),
        place.person("lena").open(f"/talks/{talk_id}"),
    ):
        assert "photo\u27e8U+202E\u27e9gnp.exe\u27e8U+200B\u27e9" in page.main
        assert not {"\u202e", "\u200b"} & set(page.answer.text)


def test_only_the_assistant_cites_sources(place: Place) -> None:
    _, talk_id = plant(place, "See our rules")

    page = place.person("lena").open(f"/talks/{talk_id}")

    cited = [line["data-author"] for line in page.root.all("li", class_="line") if line.all("ul")]
    assert cited == ["agent"]
