"""An approval that asks for a sign-in made now: nothing counts without it, and nothing that was
typed is lost on the way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from adjourn.access.gate import Gate
from adjourn.access.settings import Access
from adjourn.dashboard.body import Form
from adjourn.dashboard.kept import LIMIT, keep_typed, typed_before
from adjourn.store.records import Records
from tests.access.rig import run
from tests.dashboard.pages import Page
from tests.dashboard.signed import Keeper, SignedSite, signed_site

pytestmark = pytest.mark.slow

HOUR = 3600


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedSite]:
    with signed_site(tmp_path_factory.mktemp("again")) as made:
        yield made


@pytest.fixture
def lena(one: SignedSite) -> Keeper:
    """She proved who she is an hour ago, wherever that was."""
    one.provider.claims, one.provider.obeys_prompt = {}, True
    one.provider.auth_time = int(one.now().timestamp()) - HOUR
    return one.signed_in()


def sends(lena: Keeper, id: str, **typed: str) -> Page:
    """Open it, type, and approve."""
    form = lena.open(f"/approvals/{id}").form("approve")
    return (form.fill(**typed) if typed else form).send()


def typed(page: Page, name: str) -> str:
    """What stands in this field of the form that approves."""
    return dict(page.form("approve").fields)[name]


def signs_in_again(one: SignedSite, lena: Keeper, page: Page, who: str = "ada") -> Page:
    """Press the button on the page, and prove who they are."""
    form = page.root.one("form", action="/sign-in")
    words = {each["name"]: each["value"] for each in form.all("input")}
    assert words["again"] == "yes"
    back = words.pop("back")
    return lena.arrive(lena.http.get(one.callback(lena, who, again="yes", back=back)))


def test_what_was_typed_is_there_again_after_signing_in_again(
    one: SignedSite, lena: Keeper
) -> None:
    id = one.site.ask(fresh_sign_in="5m")

    assert "has signed in within 5 min before" in lena.open(f"/approvals/{id}?tab=why").main
    page = sends(lena, id, comment="I saw the photo.", field_amount="450.00")
    assert page.status == 403 and "Sign in again to do this" in page.main
    assert typed(page, "comment") == "I saw the photo."
    assert one.site.row(id).status == "open"
    page = signs_in_again(one, lena, page)

    assert page.status == 200 and "Nothing has been sent yet" in page.main
    assert typed(page, "comment") == "I saw the photo."
    assert typed(page, "field.amount") == "450.00"
    assert one.site.row(id).status == "open"  # it is still hers to send

    assert page.form("approve").send().status == 200
    row = one.site.row(id)
    assert row.status == "approved" and row.decided_by == ["lena"]


def test_a_signed_link_keeps_what_was_typed_as_well(one: SignedSite, lena: Keeper) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    token, _ = one.site.run(one.door.links.make("lena", id, 1, "approve"))

    page = lena.open(f"/links/{token}").form("approve").fill(comment="I saw the photo.").send()
    assert page.status == 403 and "Sign in again to do this" in page.main
    assert one.site.row(id).status == "open"
    page = signs_in_again(one, lena, page)

    assert page.path.startswith(f"/approvals/{id}?")
    assert typed(page, "comment") == "I saw the photo."
    assert page.form("approve").send().status == 200
    assert one.site.row(id).status == "approved"


def test_what_was_typed_at_a_link_that_came_too_late_is_shown(
    one: SignedSite, lena: Keeper
) -> None:
    id = one.site.ask()
    token, _ = one.site.run(one.door.links.make("lena", id, 1, "reject"))
    form = lena.open(f"/links/{token}").form("reject").fill(comment="The photo is another one.")
    sends(lena, id)

    page = form.send()

    assert page.status == 410 and "no longer good" in page.main
    assert "The photo is another one." in page.main
    assert one.site.row(id).status == "approved"


def test_signing_in_again_is_asked_of_whoever_was_let_through_silently(
    one: SignedSite, lena: Keeper
) -> None:
    """A provider that does not ask again proves nothing, and neither does one that does not say."""
    id = one.site.ask(fresh_sign_in="5m")
    page = sends(lena, id, comment="Mine.")
    one.provider.obeys_prompt = False
    refused = signs_in_again(one, lena, page)
    assert refused.status == 403 and refused.heading == "You have not signed in again"

    one.provider.claims = {"auth_time": None}
    refused = signs_in_again(one, lena, page)

    assert refused.status == 403 and "auth_time" in refused.main
    assert sends(lena, id).status == 403 and one.site.row(id).status == "open"


@pytest.mark.parametrize("way", ["again on a link", "a plain sign-in"])
def test_a_sign_in_that_proves_nothing_new_does_not_count(
    one: SignedSite, lena: Keeper, way: str
) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    page = sends(lena, id)
    assert page.status == 403
    if way == "a plain sign-in":
        assert lena.http.get(one.callback(lena)).status_code == 303

    assert sends(lena, id).status == 403
    assert one.site.row(id).status == "open"


def test_a_provider_that_does_not_say_when_makes_nobody_fresh(one: SignedSite) -> None:
    one.provider.claims, one.provider.auth_time = {"auth_time": None}, None
    lena = one.signed_in()
    id = one.site.ask(fresh_sign_in="5m")

    assert sends(lena, id).status == 403
    assert one.site.row(id).status == "open"
    assert "last sign-in" not in lena.open("/account").main
    one.provider.claims = {}


def test_an_approval_that_asks_for_none_is_decided_as_ever(one: SignedSite, lena: Keeper) -> None:
    id = one.site.ask()

    assert sends(lena, id).status == 200
    assert one.site.row(id).status == "approved"


def test_what_was_typed_is_nobody_elses(one: SignedSite, lena: Keeper) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    sends(lena, id, comment="Between us.")
    omar = one.signed_in("omar")

    assert "Between us." not in omar.http.get(f"/approvals/{id}?kept=yes").text
    assert "Between us." in lena.http.get(f"/approvals/{id}?kept=yes").text
    other = one.site.ask(fresh_sign_in="5m")
    assert "Between us." not in lena.http.get(f"/approvals/{other}?kept=yes").text
    assert httpx.get(f"{one.address}/approvals/{id}?kept=yes").status_code == 303


def test_to_look_at_it_again_changes_nothing(one: SignedSite, lena: Keeper) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    sends(lena, id, comment="Mine.")
    before = one.kept("sign-ins"), one.site.run(one.site.client.history(id))

    for _ in range(2):
        assert "Mine." in lena.http.get(f"/approvals/{id}?kept=yes").text

    assert (one.kept("sign-ins"), one.site.run(one.site.client.history(id))) == before


def test_where_it_was_decided_meanwhile_what_was_typed_is_shown(
    one: SignedSite, lena: Keeper
) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    page = sends(lena, id, comment="I saw the photo.")
    omar = one.signed_in("omar")
    assert omar.open(f"/approvals/{id}").form("reject").fill(comment="No.").send().status == 200

    page = signs_in_again(one, lena, page)

    assert "You had written:" in page.main and "I saw the photo." in page.main
    assert not page.has_button("approve")


def test_the_part_beside_the_list_asks_as_well(one: SignedSite, lena: Keeper) -> None:
    id = one.site.ask(fresh_sign_in="5m")
    form = lena.open(f"/?view=all&open={id}").form("approve")

    answer = lena.http.post(
        f"/approvals/{id}/act",
        data={**dict(form.fields), "comment": "Mine.", "do": "approve"},
        headers={"HX-Request": "true"},
    )

    assert answer.status_code == 403 and "Mine." in answer.text
    assert '<form class="sign-in-again" method="post" action="/sign-in">' in answer.text
    assert f"/approvals/{id}?view=all&amp;kept=yes" in answer.text


def test_of_many_at_once_each_that_asks_for_it_is_left_out(one: SignedSite, lena: Keeper) -> None:
    asking = one.site.ask(title="Many one", fresh_sign_in="5m")
    free = one.site.ask(title="Many two")
    page = lena.open("/?text=Many&view=all")
    boxes = [each["value"] for each in page.root.all("input", type="checkbox", name="item")]

    done = page.form("approve").tick("item", *boxes).send().form("approve").send()

    assert "It needs a sign-in made now" in done.main
    assert one.site.row(asking).status == "open" and one.site.row(free).status == "approved"


# What is kept.


def gate_at(folder: Path, at: list[datetime]) -> Gate:
    records = Records(folder / "x.access", lambda: at[0])
    return Gate(Access(public_url="http://localhost:1"), records, lambda: at[0])


def test_what_was_typed_is_forgotten_after_half_an_hour(tmp_path: Path) -> None:
    at = [datetime(2026, 11, 23, tzinfo=UTC)]
    gate = gate_at(tmp_path, at)
    try:
        form = Form([("comment", "Mine."), ("confirm", "yes"), ("version", "3"), ("as", "lena")])
        assert run(keep_typed(gate, "lena", "a", form, at[0]))
        found = run(typed_before(gate, "lena", "a"))
        assert found is not None and dict(found) == {"comment": "Mine."}

        at[0] += timedelta(minutes=30)

        assert run(typed_before(gate, "lena", "a")) is None
    finally:
        gate.records.close()


@pytest.mark.parametrize(("person", "id"), [("omar", "a"), ("lena", "b"), ("lena a", ""), ("", "")])
def test_it_is_found_by_its_person_and_its_approval_alone(
    tmp_path: Path, person: str, id: str
) -> None:
    at = [datetime(2026, 11, 23, tzinfo=UTC)]
    gate = gate_at(tmp_path, at)
    try:
        run(keep_typed(gate, "lena", "a", Form([("comment", "Mine.")]), at[0]))

        assert run(typed_before(gate, person, id)) is None
    finally:
        gate.records.close()


def test_too_much_is_not_kept(tmp_path: Path) -> None:
    at = [datetime(2026, 11, 23, tzinfo=UTC)]
    gate = gate_at(tmp_path, at)
    try:
        assert not run(keep_typed(gate, "lena", "a", Form([("comment", "x" * LIMIT)]), at[0]))
        assert run(typed_before(gate, "lena", "a")) is None
    finally:
        gate.records.close()
