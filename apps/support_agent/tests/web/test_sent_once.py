"""What is sent counts once, is never lost, and never counts for somebody else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adjourn import Adjourn, Context
from apps.support_agent.tests.web.place import AMINA, JONAS, Place
from support_agent.shop.database import DATABASE_VARIABLE, open_database
from support_agent.web import site
from support_agent.web.forms import new_id

pytestmark = pytest.mark.slow


def said(place: Place, talk_id: str) -> list[str]:
    return [line.text for line in place.lines(talk_id) if line.author == "customer"]


def test_another_text_under_the_id_of_a_form_that_was_sent_is_another_message(
    place: Place,
) -> None:
    talk_id, id = place.begin(AMINA, "Hello"), new_id()
    amina, path = place.customer(AMINA), f"/chat/talks/{talk_id}/messages"

    # The page of the form comes back with "Back", and so does its id.
    for text in ("One", "One", "Two"):
        assert amina.send(path, part=False, text=text, message_id=id).status_code == 303
    place.say(AMINA, talk_id, "Last")
    place.until(lambda: said(place, talk_id)[-1] == "Last")

    assert said(place, talk_id) == ["Hello", "One", "Two", "Last"]


def test_who_has_no_scripts_sees_what_they_wrote_at_once(place: Place) -> None:
    amina = place.customer(AMINA)

    page = amina.press(amina.open("/chat/new"), "/messages", text="Are you there?")

    assert "You just now Are you there?" in page.main and "taken" not in page.path


def test_who_has_no_scripts_is_told_that_it_was_taken_when_it_does_not_stand_there_yet(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "SHOWN_SECONDS", 0)
    amina = place.customer(AMINA)

    page = amina.press(amina.open("/chat/new"), "/messages", text="Are you there?")

    assert "What you wrote was taken." in page.main


def test_a_talk_whose_workflow_was_never_started_is_begun_by_its_first_message(
    place: Place,
) -> None:
    talk_id = place.begin_silent(AMINA)  # killed between the records and the engine

    answer = place.customer(AMINA).send(
        f"/chat/talks/{talk_id}/messages", text="Are you there?", message_id=new_id()
    )

    assert answer.status_code == 202
    assert place.until(lambda: len(place.lines(talk_id)) == 2)


@pytest.mark.parametrize("talk_id", ["R-100001", "a" * 31, "A" * 32, f"{'a' * 32}-1", "g" * 32])
def test_no_talk_takes_an_id_that_something_else_may_have(place: Place, talk_id: str) -> None:
    amina, path = place.customer(AMINA), f"/chat/talks/{talk_id}"

    sent = amina.send(f"{path}/messages", text="Hello", message_id=new_id())
    with amina.http.stream("GET", f"{path}/stream") as stream:
        assert (sent.status_code, stream.status_code) == (404, 404)


def test_a_message_with_a_character_that_no_database_keeps_is_refused(place: Place) -> None:
    talk_id = place.begin_silent(AMINA)

    answer = place.customer(AMINA).send(
        f"/chat/talks/{talk_id}/messages", text="a\x00b", message_id=new_id()
    )

    assert answer.status_code == 400


class Silent:
    """Takes what is written and never says so: as a talk whose code no longer fits does."""

    def __init__(self) -> None:
        self.app = Adjourn()
        self.app.orchestrator(name="conversation")(self.conversation)

    @staticmethod
    async def conversation(ctx: Context, talk: Any) -> None:
        await ctx.wait_for_external_event("Never")


@pytest.fixture
def silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv(DATABASE_VARIABLE, f"sqlite:///{tmp_path / 'shop.db'}")
    monkeypatch.setattr(site, "ANSWER_SECONDS", 0.2)
    made = Place(tmp_path / "engine.db", Silent().app)
    yield made
    made.stop()
    made.records.dispose()
    open_database.cache_clear()


def test_who_writes_to_a_talk_that_does_not_answer_is_told_and_keeps_their_words(
    silent: Place,
) -> None:
    amina, id = silent.customer(AMINA), new_id()
    path = f"/chat/talks/{new_id()}/messages"

    part = amina.send(path, text="Are you there?", message_id=id)
    page = amina.send(path, part=False, text="Are you there?", message_id=id)

    assert (part.status_code, page.status_code) == (503, 503)
    assert "counts once" in part.text and part.text in page.text
    assert "Are you there?" in page.text and id in page.text


def test_what_is_sent_from_a_page_of_another_person_does_nothing(place: Place) -> None:
    talk_id = place.begin(AMINA, "Hello")
    jonas, lena = place.customer(JONAS), place.person("lena")
    drawn_for = str(place.customer_id(AMINA))  # until somebody signed in as Jonas in another tab
    fields = {"text": "My secret", "message_id": new_id(), "as": drawn_for}

    pages = [
        jonas.send(f"/chat/talks/{id}/messages", part=False, **fields) for id in (talk_id, new_id())
    ]
    fields["as"] = "omar"
    pages += [
        lena.send(f"/talks/{talk_id}/{do}", part=False, **fields)
        for do in ("messages", "hand-back")
    ]

    assert [each.status_code for each in pages] == [409] * 4
    assert "You are Jonas Weber now" in pages[0].text and "My secret" in pages[0].text
    assert AMINA not in pages[0].text and "You are Lena Fischer now" in pages[2].text
    assert said(place, talk_id) == ["Hello"]
