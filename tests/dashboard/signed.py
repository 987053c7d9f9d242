"""A site where people sign in, with a real provider beside it, and browsers that keep cookies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec

from adjourn.access import oidc, sessions
from adjourn.access.gate import Gate
from adjourn.access.settings import Access, Member
from adjourn.access.settings import Provider as Settings
from adjourn.approvals.people import Person
from adjourn.engine.clock import SystemClock
from adjourn.store.records import Records
from tests.access.provider import Provider, serving
from tests.dashboard.pages import Browser, Page
from tests.dashboard.site import Site

SESSION, SIGNING_IN = sessions.COOKIE, oidc.COOKIE


class Keeper(Browser):
    """A browser without scripts that keeps Secure cookies of this machine, as real ones do and
    Python's jar does not. `jar` is what it holds for the site, and for nobody else."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.jar: dict[str, str] = {}
        self._host = urlsplit(address).netloc
        self.http.event_hooks = {"request": [self._give], "response": [self._take]}

    def _give(self, request: httpx.Request) -> None:
        if self.jar and request.url.netloc.decode() == self._host:
            request.headers["cookie"] = "; ".join(f"{each}={self.jar[each]}" for each in self.jar)

    def _take(self, response: httpx.Response) -> None:
        if response.request.url.netloc.decode() != self._host:
            return
        for said in response.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(said).items():
                self.jar[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.jar[name]


class SignedSite:
    """The site, its gate and its provider, where `ada` is Lena and anybody else is a stranger."""

    def __init__(self, folder: Path, provider: Provider, issuer: str = "", host: str = "") -> None:
        """`issuer`: another provider than ours; `host`: as browsers find it, for 127.0.0.1."""
        self.provider = provider
        self._issuer, self._host = issuer or provider.issuer, host or "127.0.0.1"
        self.now = SystemClock().now
        self.records = Records(folder / "cases.db.access", self.now)
        self.file = folder / "people.json"
        account = f"{self._issuer}|"
        self.file.write_bytes(
            msgspec.json.encode(
                [
                    Person(
                        id="lena",
                        name="Lena Fischer",
                        title="Supervisor",
                        email="lena@example.com",
                        groups=["support"],
                        roles=["approver"],
                        accounts={"oidc": account + "ada"},
                    ),
                    Person(
                        id="omar",
                        name="Omar Haddad",
                        groups=["support"],
                        roles=["approver"],
                        accounts={"oidc": account + "omar"},
                    ),
                    Person(id="far", name="Far Away", roles=["approver"], tenant="other"),
                    Person(id="vic", name="Vic Plain", accounts={"oidc": account + "vic"}),
                    Person(id="boss", name="Boss", roles=["admin"]),
                ]
            )
        )
        self.gate: Gate | None = None
        self.site = Site(folder / "cases.db", self._open)
        self._browsers: list[httpx.Client] = []

    def _open(self, address: str) -> Gate:
        settings = Access(
            public_url=address.replace("127.0.0.1", self._host),
            people_file=str(self.file),
            oidc=Settings(
                issuer=self._issuer,
                client_secret_env="CLIENT_SECRET" if "CLIENT_SECRET" in os.environ else "",
                client_id="adjourn",
                name="Example",
                strangers=True,
                members=[Member(claim="finance", group="finance", roles=["approver"])],
            ),
        )
        self.gate = Gate(settings, self.records, self.now)
        return self.gate

    @property
    def address(self) -> str:
        return self.door.settings.public_url

    @property
    def door(self) -> Gate:
        assert self.gate is not None
        return self.gate

    def stop(self) -> None:
        for each in self._browsers:
            each.close()
        self.site.stop()
        self.records.close()

    def browser(self) -> Keeper:
        made = Keeper(self.address)
        self._browsers.append(made.http)
        return made

    def signed_in(self, who: str = "ada", back: str = "/") -> Keeper:
        browser = self.browser()
        assert sign_in(browser, self.provider, who, back).status in (200, 404)
        return browser

    def callback(self, browser: Browser, who: str = "ada", **form: str) -> str:
        """The address to which the provider sends this browser back, which it has not opened."""
        answer = browser.http.post("/sign-in", data={"back": "/", **form})
        assert answer.status_code == 200, answer.text
        onward = Page(browser, answer).root.one("meta", **{"http-equiv": "refresh"})["content"]
        asked = onward.partition("url=")[2]
        self.provider.who = who
        with httpx.Client(trust_env=False) as provider:
            reply = provider.get(asked)
            if reply.status_code == 200:
                reply = provider.post(asked, data={"who": who})
        return reply.headers["location"]

    def kept(self, space: str) -> dict[str, object]:
        return self.site.run(self.records.all(space, object))


def sign_in(browser: Browser, provider: Provider, who: str, back: str = "/") -> Page:
    """All the way, as a browser without scripts goes it."""
    page = browser.arrive(browser.http.post("/sign-in", data={"back": back}))
    provider.who = who
    target = page.root.one("meta", **{"http-equiv": "refresh"})["content"].partition("url=")[2]
    answer = browser.http.get(target)
    assert answer.status_code == 302, answer.text
    return browser.arrive(browser.http.get(urljoin(target, answer.headers["location"])))


def send_sign_in(page: Page) -> Page:
    """Press the button that leads to the provider."""
    form = page.root.one("form", action="/sign-in")
    fields = {each["name"]: each["value"] for each in form.all("input")}
    return page.browser.arrive(page.browser.http.post("/sign-in", data=fields))


@contextmanager
def signed_site(folder: Path, issuer: str = "", host: str = "") -> Iterator[SignedSite]:
    provider = Provider(SystemClock().now)
    with serving(provider):
        made = SignedSite(folder, provider, issuer, host)
        try:
            yield made
        finally:
            made.stop()
