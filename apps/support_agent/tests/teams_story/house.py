"""The whole support agent as a process, in Teams' local mode, and people who use it there."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from apps.support_agent.tests.teams_out.fake_connector import FakeConnector, Shown
from support_agent.channels.teams.playground import TENANT, prepare
from support_agent.clock import now
from support_agent.engine_process import EngineProcess, free_port, start_engine, wait_until
from support_agent.shop.database import DATABASE_VARIABLE, open_database
from support_agent.shop.shipped import import_shipped

SECONDS = 40.0
AMINA = "amina.diallo@example.org"
DOUBLE = "I was charged twice for order A-1201"
T = TypeVar("T")


class House:
    """Serves until `stop`, over files that live longer."""

    def __init__(self, folder: Path, connector: FakeConnector, service_url: str) -> None:
        self.connector = connector
        self._service_url = service_url
        self._folder = folder
        self.port = free_port()
        playground = prepare(folder, self.port)
        self._people = playground.people
        self.shop = open_database(f"sqlite:///{folder / 'shop.db'}")
        import_shipped(self.shop, now())
        self._environment = {
            DATABASE_VARIABLE: str(self.shop.url),
            "SUPPORT_PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            **playground.environment,
        }
        self._activities = 0
        self.engine = self._start()

    def _start(self) -> EngineProcess:
        return start_engine(
            self._folder / "talks.db",
            self.port,
            self._folder / "server.log",
            self._environment,
            target="support_agent.site:app",
            people=self._people,
        )

    def kill(self) -> None:
        self.engine.process.send_signal(signal.SIGKILL)
        assert self.engine.process.wait(SECONDS) == -signal.SIGKILL

    def start(self) -> None:
        self.engine = self._start()

    def stop(self) -> None:
        self.engine.stop()
        self.shop.dispose()

    @property
    def http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.engine.address, trust_env=False, timeout=SECONDS, follow_redirects=True
        )

    # Teams.

    def deliver(self, activity: dict[str, Any]) -> httpx.Response:
        with self.http as http:
            return http.post("/api/messages", json=activity)

    def message(self, person: str, text: str, *, id: str = "", group: str = "") -> dict[str, Any]:
        self._activities += 1
        mention = "<at>Support</at> " if group else ""
        return {
            "type": "message",
            "text": mention + text,
            **self._envelope(person, id or f"1700000000{self._activities:03}", group),
        }

    def write(self, person: str, text: str, *, id: str = "", group: str = "") -> None:
        answer = self.deliver(self.message(person, text, id=id, group=group))
        assert answer.status_code == 200, answer.text

    def join(self, person: str) -> None:
        self._activities += 1
        held = self._envelope(person, f"joined-{self._activities}", "")
        held["membersAdded"] = [held["recipient"]]
        answer = self.deliver({"type": "conversationUpdate", **held})
        assert answer.status_code == 200, answer.text

    def press(
        self, person: str, card: dict[str, Any], button: str, *, id: str = "", **typed: str
    ) -> dict[str, Any]:
        """As a client sends a button of a card: its data, and the inputs that it names."""
        self._activities += 1
        action = next(each for each in actions_of(card) if each["data"]["action"] == button)
        value = {
            "action": {
                "type": "Action.Execute",
                "verb": action["verb"],
                "data": {**action["data"], **typed},
            },
            "trigger": "manual",
        }
        held = self._envelope(person, id or f"click-{self._activities}", "")
        answer = self.deliver(
            {"type": "invoke", "name": "adaptiveCard/action", "value": value, **held}
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def _envelope(self, person: str, id: str, group: str) -> dict[str, Any]:
        return {
            "id": id,
            "channelId": "msteams",
            "serviceUrl": self._service_url,
            "from": {"id": person, "name": person.title(), "aadObjectId": person},
            "recipient": {"id": "support-bot", "name": "Support"},
            "conversation": {
                "id": group or f"chat-of-{person}",
                "conversationType": "groupChat" if group else "personal",
                "tenantId": TENANT,
            },
            "channelData": {"tenant": {"id": TENANT}},
        }

    def shown(self, person: str) -> list[Shown]:
        return self.connector.seen(f"chat-of-{person}")

    def texts(self, person: str) -> list[str]:
        """Whole lines, unescaped as a reader sees them, and none that still grows."""
        return [
            re.sub(r"\\(.)", r"\1", shown.text)
            for shown in self.shown(person)
            if shown.text and not shown.growing
        ]

    def cards(self, person: str) -> list[dict[str, Any]]:
        return [shown.cards[0] for shown in self.shown(person) if shown.cards]

    def told(self, person: str, *words: str) -> str:
        """The first text with all these words, once it is there."""
        return self.until(
            lambda: next(
                (text for text in self.texts(person) if all(word in text for word in words)), ""
            ),
            f"{person} to read {words}; they read {self.texts(person)}",
        )

    def until(self, look: Callable[[], T], what: str) -> T:
        return wait_until(lambda: look() or None, what, SECONDS)

    # The pages.

    def link(self, person: str, email: str = AMINA) -> None:
        """The customer opens the link that they were sent, signs in, and says that it is theirs."""
        self.write(person, "Hello")
        path = re.findall(r"/chat/link/[\w-]+", self.told(person, "/chat/link/"))[0]
        with self.http as http:
            page = http.get(path)
            number = re.search(rf'value="(\d+)"[^>]*>{self._name_of(email)}', page.text)
            assert number is not None, page.text
            signed = {"customer": number[1], "next": path.removeprefix("/chat")}
            page = http.post("/chat/sign-in", data=signed)
            assert "Link it to" in page.text, (path, str(page.url), page.text)
            assert "Done" in http.post(path, data={"link": "yes"}).text
            assert "has ended" in http.post(path, data={"link": "yes"}).text
        self.told(person, "now linked")

    def _name_of(self, email: str) -> str:
        return {AMINA: "Amina Diallo"}[email]

    def as_person(self, person: str) -> dict[str, str]:
        return {"cookie": f"adjourn-person={person}"}


def actions_of(card: Any) -> list[dict[str, Any]]:
    """All Action.Execute of a card, wherever they stand."""
    match card:
        case {"type": "Action.Execute"}:
            return [card]
        case dict():
            return [each for value in card.values() for each in actions_of(value)]
        case list():
            return [each for value in card for each in actions_of(value)]
        case _:
            return []


def words_of(card: Any) -> str:
    """Every text that a card shows."""
    match card:
        case {"text": str(text)}:
            rest = {key: value for key, value in card.items() if key != "text"}
            return f"{text} {words_of(rest)}"
        case dict():
            return " ".join(words_of(value) for value in card.values())
        case list():
            return " ".join(words_of(value) for value in card)
        case _:
            return ""
