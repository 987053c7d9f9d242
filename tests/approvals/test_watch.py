"""Whoever watches approvals is told of each change once, in order, and of the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adjourn import Adjourn, Approved, Context, Notice, Status, group, rechecking, watcher_id
from adjourn.authoring.approval import request_of
from adjourn.authoring.functions import Orchestrator
from adjourn.errors import InvalidIdError, RegistrationError
from adjourn.model import codec
from adjourn.model.approval import Approve
from adjourn.testing import Sandbox
from tests.approvals.workflows import LENA, OMAR


@dataclass(frozen=True)
class Deed:
    what: str


def make_app(*, watched: bool = True, facts: list[int] | None = None) -> Adjourn:
    app = Adjourn()

    @app.activity
    def fact() -> int:
        return (facts or [1])[-1]

    @app.orchestrator
    async def ask(ctx: Context, need: int) -> str:
        decision = await ctx.approval(
            Deed("open the door"),
            title="Open the door",
            to=group("finance"),
            need=need,
            remind=["4h"],
            escalate={"1d": group("doors")},
            expires="7d",
            recheck=None if facts is None else rechecking(fact),
        )
        return "opened" if isinstance(decision, Approved) else "shut"

    @app.orchestrator
    async def watch(ctx: Context, notice: Notice) -> list[str]:
        heard = [*notice.what]
        while not notice.final:
            notice = await ctx.wait_for_external_event("Notice", Notice)
            heard += notice.what or ["checked"]
        return heard

    if watched:
        app.watch_approvals(watch)
    return app


def test_each_change_is_told_once_and_in_order() -> None:
    with Sandbox(make_app()) as box:
        case = box.start("ask", 2, id="D-1")
        watcher = f"{box.inbox().one().id}:watch"
        asked = box.inbox("finance").one()
        asked.claim(by=LENA)
        asked.unclaim(by=LENA)
        asked.approve(by=LENA)
        box.advance(hours=5)
        asked.comment(by=OMAR, text="I know the door.")
        asked.approve(by=OMAR)
        assert box.get(watcher).status == Status.RUNNING, "the decision can still be undone"
        box.advance(seconds=11)
        assert case.result == "opened"
        assert box.result(watcher) == [
            "opened",
            "claimed",
            "unclaimed",
            "voted",
            "reminded",
            "commented",
            "approved",
            "took_effect",
        ]


def test_silence_is_told_to_its_end() -> None:
    with Sandbox(make_app()) as box:
        box.start("ask", 1, id="D-1")
        watcher = f"{box.inbox().one().id}:watch"
        box.advance(days=8)
        assert box.result(watcher) == ["opened", "reminded", "escalated", "expired"]


@pytest.mark.parametrize("undo", [False, True])
def test_an_end_from_outside_is_told_like_any_other(undo: bool) -> None:
    """Also of what is decided and could still be undone."""
    with Sandbox(with_second(make_app())) as box:
        box.start("ask", 1, id="D-1")
        asked = box.inbox().one()
        if undo:
            asked.approve(by=LENA)
        box.terminate("D-1", "not needed any more")
        assert box.get(asked.id).status == Status.TERMINATED
        told = ["opened", *["approved"] * undo, "cancelled"]
        assert box.result(f"{asked.id}:watch") == told
        assert box.result(f"{asked.id}:count") == len(told)


def test_what_nobody_waits_for_any_more_is_told_as_ended() -> None:
    app = make_app()

    @app.orchestrator
    async def ask_in_passing(ctx: Context, _: None) -> str:
        ctx.approval(Deed("open"), title="Open", to=group("finance"), expires="7d")
        await ctx.wait_for_external_event("Enough")
        return "left"

    with Sandbox(app) as box:
        case = box.start("ask_in_passing", None, id="D-1")
        asked = box.inbox().one()
        box.raise_event("D-1", "Enough")
        assert case.result == "left"
        assert box.result(f"{asked.id}:watch") == ["opened", "cancelled"]


def test_what_ends_before_it_has_opened_tells_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Sandbox(make_app(), str(tmp_path / "watch.db")) as box:
        box.start("ask", 1, id="D-1")
        asked = box.inbox().one()
        box.terminate(f"{asked.id}:watch", "it is in the way")
        box.terminate("D-1")
        assert box.get(asked.id).status == Status.TERMINATED
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize(("later", "last"), [(1, "checked"), (2, "superseded")])
def test_what_is_rechecked_ends_with_the_recheck(later: int, last: str) -> None:
    facts = [1]
    with Sandbox(make_app(facts=facts)) as box:
        box.start("ask", 1, id="D-1")
        watcher = f"{box.inbox().one().id}:watch"
        box.inbox("finance").one().approve(by=LENA)
        facts.append(later)
        box.advance(seconds=11)
        assert box.result(watcher) == ["opened", "approved", "took_effect", last]


def test_without_a_watcher_nothing_is_told() -> None:
    with Sandbox(make_app(watched=False)) as box:
        box.start("ask", 1, id="D-1")
        asked = box.inbox("finance").one()
        asked.approve(by=LENA)
        box.advance(seconds=11)
        kinds = [type(entry.event).__name__ for entry in box.history(asked.id)]
        assert "OrchestrationStarted" not in kinds
        assert "EventSent" not in kinds


def test_a_watcher_may_come_and_go_while_approvals_wait(tmp_path: Path) -> None:
    """Who is told is fixed when the question is asked; other code does not stop a waiting case."""
    file = str(tmp_path / "watch.db")
    with Sandbox(make_app(watched=False), file) as box:
        box.start("ask", 1, id="before")
    with Sandbox(make_app(), file) as box:
        box.start("ask", 1, id="after")
        ids = {asked.row.case: asked.id for asked in box.inbox("finance")}
        for asked in box.inbox("finance"):
            asked.approve(by=LENA)
        box.advance(seconds=11)
        assert box.result("before") == box.result("after") == "opened"
        assert box.result(f"{ids['after']}:watch") == ["opened", "approved", "took_effect"]
        assert box.get("before").status == Status.COMPLETED
    with Sandbox(make_app(), file) as box:
        box.start("ask", 1, id="last")
        waiting = box.inbox("finance").one().id
    with Sandbox(make_app(watched=False), file) as box:
        box.inbox("finance").one().approve(by=LENA)
        box.advance(seconds=11)
        assert box.result("last") == "opened"
        assert box.result(f"{waiting}:watch")[-1] == "took_effect"


def test_nothing_is_told_twice_after_a_crash(tmp_path: Path) -> None:
    with Sandbox(make_app(), str(tmp_path / "watch.db")) as box:
        box.start("ask", 1, id="D-1")
        watcher = f"{box.inbox().one().id}:watch"
        asked = box.inbox("finance").one()
        asked.act(Approve(version=1), LENA, "click-1")
        box.crash()
        asked.act(Approve(version=1), LENA, "click-1")
        box.advance(seconds=11)
        box.crash()
        assert box.result(watcher) == ["opened", "approved", "took_effect"]


def with_second(app: Adjourn) -> Adjourn:
    """Somebody else is told as well."""

    @app.orchestrator
    async def count(ctx: Context, notice: Notice) -> int:
        told = 1
        while not notice.final:
            notice = await ctx.wait_for_external_event("Notice", Notice)
            told += 1
        return told

    app.watch_approvals(count, name="count")
    return app


def test_several_watch_and_none_knows_of_the_others() -> None:
    with Sandbox(with_second(make_app())) as box:
        case = box.start("ask", 1, id="D-1")
        asked = box.inbox("finance").one()
        box.suspend(watcher_id(asked.id, "count"))
        asked.approve(by=LENA)
        box.advance(seconds=11)
        assert case.result == "opened"
        assert box.result(watcher_id(asked.id)) == ["opened", "approved", "took_effect"]
        box.resume(watcher_id(asked.id, "count"))
        assert box.result(watcher_id(asked.id, "count")) == 3


def test_a_watcher_whose_code_is_gone_stops_no_approval(tmp_path: Path) -> None:
    file = str(tmp_path / "watch.db")
    with Sandbox(with_second(make_app()), file) as box:
        box.start("ask", 1, id="D-1")
        asked = box.inbox("finance").one().id
    with Sandbox(make_app(), file) as box:
        box.inbox("finance").one().approve(by=LENA)
        box.advance(seconds=11)
        assert box.result("D-1") == "opened"
        assert box.result(watcher_id(asked))[-1] == "took_effect"
        assert box.get(watcher_id(asked, "count")).status == Status.QUARANTINED
    with Sandbox(with_second(make_app()), file) as box:
        assert box.result(watcher_id(asked, "count")) == 3, "it lost nothing meanwhile"


def test_code_that_goes_between_the_question_and_its_opening_stops_no_approval(
    tmp_path: Path,
) -> None:
    """The asking is on disk, the approval has not had its first turn."""
    file = str(tmp_path / "watch.db")
    with Sandbox(with_second(make_app()), file) as box:
        box.crash_at("published")
        box.app = make_app()
        box.start("ask", 1, id="D-1")
        assert box.crashes == 1
        asked = box.inbox("finance").one()
        asked.approve(by=LENA)
        box.advance(seconds=11)
        assert box.result("D-1") == "opened"
        assert box.get(watcher_id(asked.id, "count")).status == Status.QUARANTINED


def test_a_question_of_the_version_before_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That knew of one watcher, whose name stands in the question by itself."""
    file = str(tmp_path / "watch.db")

    def as_before(proposal: Any, terms: Any, watchers: dict[str, str]) -> msgspec.Raw:
        request = msgspec.json.decode(request_of(proposal, terms))
        return codec.encode({**request, "watch": watchers["watch"]}, as_given=True)

    with monkeypatch.context() as patched, Sandbox(make_app(), file) as box:
        patched.setattr("adjourn.replay.context.request_of", as_before)
        box.start("ask", 1, id="D-1")
    with Sandbox(with_second(make_app()), file) as box:
        asked = box.inbox("finance").one()
        assert box.get(f"{asked.id}:watch").status == Status.RUNNING
        asked.approve(by=LENA)
        box.advance(seconds=11)
        assert box.result("D-1") == "opened"
        assert box.result(f"{asked.id}:watch") == ["opened", "approved", "took_effect"]


def test_one_name_is_one_watcher() -> None:
    app = make_app()
    app.watch_approvals(app.orchestrators["watch"])

    @app.orchestrator
    async def other(ctx: Context, notice: Notice) -> None: ...

    with pytest.raises(RegistrationError, match="pass another name="):
        app.watch_approvals(other)
    with pytest.raises(InvalidIdError):
        app.watch_approvals(other, name="a b")


def test_only_what_is_registered_may_watch() -> None:
    async def stranger(ctx: Context, notice: Notice) -> None: ...

    app = make_app(watched=False)
    with pytest.raises(RegistrationError, match="not registered here"):
        app.watch_approvals(Orchestrator(stranger, "stranger"))
