"""The support agent, set up as docs/support-on-a-network.md says: a process of its own, staff who
sign in at a provider that others keep, a customer with a ticket of the shop, a refund; and kill -9
in between."""

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import text

from apps.support_agent.tests.door.house import SECRET
from apps.support_agent.tests.door.test_shop_side import address_maker
from support_agent.clock import now
from support_agent.engine_process import free_port
from support_agent.shop.database import DATABASE_VARIABLE, open_database
from support_agent.shop.shipped import import_shipped
from tests.browser.accessibility import axe
from tests.browser.conftest import Picture, Visit, Visitor
from tests.browser.serving import ServerProcess

pytestmark = [pytest.mark.slow, pytest.mark.browser]

OUTSIDE = re.compile(r"^https?://(?!localhost|127\.0\.0\.1)")
AMINA = "amina.diallo@example.org"
REFUNDED = "You get 129.70 EUR back, to the payment that you made."
SETTINGS = """
public_url = "{public_url}"

[oidc]
issuer = "{issuer}"
client_id = "support"
client_secret_env = "OIDC_CLIENT_SECRET"
name = "Example"

[[oidc.members]]
claim = "support-team"
group = "support"
roles = ["approver"]
"""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with warnings.catch_warnings():  # it uses a part of authlib that will go
        warnings.simplefilter("ignore")
        from oidc_provider_mock import User, run_server_in_thread

        claims = {"name": "Lena Fischer", "groups": ["support-team"]}
        with run_server_in_thread(user_claims=(User(sub="lena", claims=claims),)) as server:
            yield f"http://localhost:{server.server_port}"


class Shop:
    """The files of one installation, and the server over them."""

    def __init__(self, folder: Path, issuer: str) -> None:
        port = free_port()
        self.public_url = f"http://127.0.0.1:{port}"
        settings = folder / "adjourn.toml"
        settings.write_text(SETTINGS.format(public_url=self.public_url, issuer=issuer), "utf-8")
        self.records = open_database(f"sqlite:///{folder / 'shop.db'}")
        import_shipped(self.records, now())
        self.server = ServerProcess(
            "support_agent.site:app",
            folder / "support.db",
            port=port,
            settings=settings,
            environment={
                DATABASE_VARIABLE: str(self.records.url),
                "SUPPORT_CUSTOMER_SECRET": SECRET,
                "OIDC_CLIENT_SECRET": "it takes any",
            },
        )
        self.ticket_address: Callable[[str, str], str] = address_maker(self.public_url)

    def count(self, table: str) -> int:
        with self.records.connect() as connection:
            return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()

    def die_and_come_back(self, *visitors: Visitor) -> None:
        """Pages that are open say on their consoles that nobody answers."""
        self.server.kill()
        self.server.start()
        for each in visitors:
            each.watch.settle()
            each.watch.faults[:] = [one for one in each.watch.faults if "ERR_" not in one.text]


@pytest.fixture
def shop(tmp_path: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.delenv("SUPPORT_PUBLIC_URL", raising=False)
    made = Shop(tmp_path, issuer)
    with made.server:
        yield made
    made.records.dispose()


def say(page: Page, words: str, answer: str) -> None:
    page.get_by_role("textbox").fill(words)
    page.get_by_role("textbox").press("Enter")
    expect(page.get_by_text(answer).first).to_be_visible()


def test_a_refund_survives_two_kills_and_so_do_all_who_are_signed_in(
    shop: Shop, visitor: Visit, picture: Picture
) -> None:
    amina, lena = visitor(shop.public_url), visitor(shop.public_url)
    address = shop.ticket_address(AMINA, SECRET)
    amina.page.goto(address)
    amina.page.get_by_role("button", name="Go on as Amina Diallo").click()
    say(amina.page, "I was charged twice for order A-1201", "Shall I open a case")
    say(amina.page, "yes please", "A person will decide on it")
    talk = amina.page.url

    shop.die_and_come_back(amina)  # the case waits, and nobody has looked at it
    amina.page.goto(talk)
    expect(amina.page.get_by_text("A person decides on it.")).to_be_visible()
    sign_in(lena)
    lena.page.get_by_text("Refund 129.70 EUR to Amina Diallo").first.click()
    # A panel that has just come takes no click.
    panel = lena.page.locator("#panel:not(.just-come)").filter(has_text="A-1201")
    panel.get_by_role("button", name=re.compile("^Approve")).click()
    expect(lena.page.get_by_text("Approved by you").first).to_be_visible()
    assert shop.count("refunds") == 0  # Lena may still undo it

    shop.die_and_come_back(amina, lena)  # it is decided, and nothing is paid
    lena.page.goto("/talks/")
    expect(lena.page.get_by_role("heading", name="Conversations")).to_be_visible()
    amina.page.goto(talk)
    expect(amina.page.get_by_text(REFUNDED).last).to_be_visible(timeout=30_000)
    picture(amina.page, "told")

    assert (shop.count("refunds"), shop.count("messages")) == (1, 1)
    assert shop.count("customer_sessions") == 1
    with amina.watch.expecting("status of 403"):
        amina.page.goto(address)
        expect(amina.page.get_by_text("It was used already")).to_be_visible()
    said = "\n".join(shop.server.said)
    ticket = address.partition("?ticket=")[2]
    assert '"route": "/chat/enter"' in said
    assert not any(each in said for each in (ticket, SECRET, AMINA, "it takes any"))
    lena.page.locator(".who > summary").click()
    picture(lena.page, "staff")
    assert axe(lena.page) == []
    leave(lena.page)
    lena.page.goto("/talks/")
    expect(lena.page.get_by_role("button", name="Sign in with Example")).to_be_visible()
    lena.watch.faults.clear()  # of the provider's pages


def sign_in(lena: Visitor) -> None:
    page = lena.page
    # The provider's own pages load a style sheet from elsewhere, which is none of our business.
    page.route(OUTSIDE, lambda route: route.abort())
    page.goto("/")
    page.get_by_role("button", name="Sign in with Example").click()
    page.get_by_role("button", name="lena").click()
    expect(page.locator(".who-name")).to_have_text("Lena Fischer")
    lena.watch.settle()
    lena.watch.faults.clear()


def leave(page: Page) -> None:
    page.locator(".who").get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()


def test_two_addresses_start_nothing(
    tmp_path: Path, issuer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPPORT_PUBLIC_URL", "https://staging.example.com")
    made = Shop(tmp_path, issuer)
    try:
        with pytest.raises(AssertionError, match="SUPPORT_PUBLIC_URL is 'https://staging"):
            made.server.start()
        assert not any("Traceback" in line for line in made.server.said)
    finally:
        made.records.dispose()
