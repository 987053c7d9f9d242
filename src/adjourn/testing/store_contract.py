"""What every store must do: subclass `StoreContract` in a test file, and pytest runs all of it.

```python
class TestMyStore(StoreContract):
    def make_store(self, path: str) -> Store:
        return MyStore(path)
```
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import SkipTest

from msgspec.structs import replace

from adjourn.errors import FencedError, StorageError, StorageFullError
from adjourn.model.actor import Absent
from adjourn.model.inbox import InboxQuery, InboxRow
from adjourn.model.status import Status
from adjourn.store.protocol import Changes, HistoryRow, InstanceRow, Query, Store

HASH = bytes(32)


def instance_row(key: int, id: str = "", **fields: Any) -> InstanceRow:
    """A waiting instance with one row of history."""
    row = InstanceRow(
        key=key, id=id or f"order-{key}", name="order", status=Status.RUNNING, length=1, head=HASH
    )
    return replace(row, **fields)


def history_row(key: int, number: int, text: str = "{}", execution: int = 1) -> HistoryRow:
    return key, execution, number, text.encode(), HASH


def inserted(*rows: InstanceRow, **more: Any) -> Changes:
    return Changes(inserted=list(rows), **more)


class StoreContract:
    """One test for each guarantee of `adjourn.store.protocol.Store`."""

    survives_closing = True
    """False for a store that lives in memory only."""

    def make_store(self, path: str) -> Store:
        """Open the store at this path, which is new the first time. Must be overridden."""
        raise NotImplementedError

    def make_rival(self, path: str) -> Store:
        """A second engine's store that takes the same path over. Override it where that exists."""
        raise SkipTest("this store cannot be taken over")

    def filled(self, store: Store) -> AbstractContextManager[None]:
        """Inside it, the disk is full for every commit. Override it where that can happen."""
        raise SkipTest("this store cannot fill up")

    @contextmanager
    def opened(self, folder: Path) -> Generator[Store]:
        store = self.make_store(str(folder / "contract.db"))
        try:
            yield store
        finally:
            store.close()

    # Commit.

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            assert store.next_key() == 1
            assert store.find("order-1") is None
            assert store.load(1) is None
            assert store.list(Query()) == []
            assert store.earliest_timer() is None
            assert store.unfinished_business() == []

    def test_a_commit_writes_all_of_it(self, tmp_path: Path) -> None:
        row = _full_row()
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            store.commit(_one_of_everything(row))
            _check_one_of_everything(store, row)

    def test_what_was_committed_survives_closing(self, tmp_path: Path) -> None:
        if not self.survives_closing:
            raise SkipTest("this store lives in memory")
        row = _full_row()
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            store.commit(_one_of_everything(row))
        with self.opened(tmp_path) as store:
            _check_one_of_everything(store, row)

    def test_written_is_called_once_inside_the_transaction(self, tmp_path: Path) -> None:
        called: list[str] = []
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)), written=lambda: called.append("written"))
            assert called == ["written"]

    def test_an_end_before_the_commit_keeps_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            with _raises(_Cut):
                store.commit(_one_of_everything(_full_row()), written=_cut)
            assert [row.key for row in store.list(Query())] == [1]
            assert store.earliest_timer() is None
            assert store.receipt(1, "event", "click-1") is None
            assert store.attributes(1) == {}
            store.commit(_one_of_everything(_full_row()))
            _check_one_of_everything(store, _full_row())

    def test_a_commit_that_fails_in_the_middle_keeps_nothing(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), history=[history_row(1, 1)]))
            doubled = inserted(instance_row(2), history=[history_row(2, 1), history_row(1, 1)])
            with _raises(StorageError):
                store.commit(doubled)
            assert store.load(2) is None
            assert store.history(2, 1) == []

    def test_an_id_is_taken_once(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1, "order")))
            with _raises(StorageError):
                store.commit(inserted(instance_row(2, "order")))
            found = store.find("order")
            assert found is not None and found.key == 1

    def test_a_full_disk_keeps_nothing_and_the_store_goes_on(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            with self.filled(store):
                with _raises(StorageFullError):
                    store.commit(_large(2))
                assert store.load(1) is not None
                assert store.load(2) is None
            store.commit(_large(2))
            assert len(store.history(2, 1)) == len(_large(2).history)

    def test_a_store_that_was_taken_over_may_not_write(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            rival = self.make_rival(str(tmp_path / "contract.db"))
            try:
                with _raises(FencedError):
                    store.commit(inserted(instance_row(2)))
                rival.commit(inserted(instance_row(3)))
                assert [row.key for row in rival.list(Query())] == [1, 3]
            finally:
                rival.close()

    # Instances.

    def test_an_instance_is_found_by_id_and_by_key(self, tmp_path: Path) -> None:
        row = instance_row(7, "order-7")
        with self.opened(tmp_path) as store:
            store.commit(inserted(row))
            assert store.find("order-7") == row
            assert store.load(7) == row
            assert store.find("Order-7") is None
            assert store.load(8) is None

    def test_an_update_changes_what_changes_in_a_life(self, tmp_path: Path) -> None:
        before = instance_row(1, created_at=5)
        after = replace(
            before,
            status=Status.COMPLETED, length=9, turned=9, updated_at=7, finished_at=7, execution=2,
            waiting_for='["A"]', custom_status='"half"', pending_events=3, running=2,
            version="2", name="other", start_digest=b"digest", tags='{"a":"b"}', visible_at=11,
        )  # fmt: skip
        with self.opened(tmp_path) as store:
            store.commit(inserted(before))
            store.commit(Changes(updated=[after]))
            assert store.load(1) == after

    def test_an_advance_changes_what_every_turn_changes(self, tmp_path: Path) -> None:
        before = instance_row(1, created_at=5, running=1, problem=None, visible_at=8)
        after = replace(
            before,
            length=9, turned=8, head=bytes(range(32)), updated_at=7, pending_events=3,
            waiting_for='["A"]', custom_status='"half"',
        )  # fmt: skip
        with self.opened(tmp_path) as store:
            store.commit(inserted(before, instance_row(2)))
            store.commit(Changes(advanced=[after]))
            assert store.load(1) == after
            assert store.load(2) == instance_row(2)

    def test_the_next_key_is_above_all_keys(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(3), instance_row(41)))
            assert store.next_key() == 42

    def test_unfinished_business_is_what_a_start_must_look_at(self, tmp_path: Path) -> None:
        rows = [
            instance_row(1),
            instance_row(2, status=Status.PENDING),
            instance_row(3, status=Status.QUARANTINED, problem="why"),
            instance_row(4, running=2),
            instance_row(5, status=Status.SUSPENDED),
            instance_row(6, status=Status.SUSPENDED, running=1),
            instance_row(7, status=Status.COMPLETED, finished_at=1),
        ]
        with self.opened(tmp_path) as store:
            store.commit(inserted(*rows))
            assert [row.key for row in store.unfinished_business()] == [2, 3, 4, 6]

    # History.

    def test_history_comes_in_order_per_execution(self, tmp_path: Path) -> None:
        rows = [
            history_row(1, 1, '"a"'),
            history_row(2, 1, '"other"'),
            history_row(1, 2, '"b"'),
            history_row(1, 1, '"next"', execution=2),
        ]
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), instance_row(2), history=rows))
            store.commit(Changes(history=[history_row(1, 3, '"c"')]))
            assert [(n, body) for n, body, _ in store.history(1, 1)] == [
                (1, b'"a"'),
                (2, b'"b"'),
                (3, b'"c"'),
            ]
            assert [body for _, body, _ in store.history(1, 2)] == [b'"next"']
            assert store.history(1, 3) == []

    def test_bodies_and_hashes_come_back_byte_for_byte(self, tmp_path: Path) -> None:
        text, link = '{"a":"é\U0001f600\\u0000"}', bytes(range(32))
        with self.opened(tmp_path) as store:
            row = (1, 1, 1, text.encode(), link)
            store.commit(inserted(instance_row(1, head=link), history=[row]))
            assert store.history(1, 1) == [(1, text.encode(), link)]

    def test_one_row_is_read_by_number_or_as_the_last(self, tmp_path: Path) -> None:
        rows = [history_row(1, 1, '"first"'), history_row(1, 2, '"last"')]
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), history=rows))
            assert store.row(1, 1, 1) == b'"first"'
            assert store.row(1, 1, -1) == b'"last"'
            assert store.row(1, 1, 3) is None
            assert store.row(1, 2, -1) is None

    # Receipts.

    def test_a_receipt_is_unknown_then_open_then_answered(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            assert store.receipt(1, "update", "u") is None
            store.commit(Changes(receipts=[(1, "update", "u", None)]))
            assert store.receipt(1, "update", "u") == (None,)
            store.commit(Changes(receipts=[(1, "update", "u", '"yes"')]))
            assert store.receipt(1, "update", "u") == ('"yes"',)

    def test_the_first_answer_stays(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), receipts=[(1, "update", "u", '"yes"')]))
            store.commit(Changes(receipts=[(1, "update", "u", '"no"')]))
            store.commit(Changes(receipts=[(1, "update", "u", None)]))
            assert store.receipt(1, "update", "u") == ('"yes"',)

    def test_receipts_are_kept_by_instance_kind_and_id(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            rows = [instance_row(1), instance_row(2)]
            store.commit(inserted(*rows, receipts=[(1, "event", "x", '"accepted"')]))
            assert store.receipt(1, "update", "x") is None
            assert store.receipt(2, "event", "x") is None
            assert store.receipt(1, "event", "X") is None

    def test_a_new_life_clears_its_receipts_before_it_writes_its_own(self, tmp_path: Path) -> None:
        old = [(1, "event", "x", '"accepted"'), (2, "event", "x", '"accepted"')]
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), instance_row(2), receipts=old))
            store.commit(Changes(receipts_cleared=[1], receipts=[(1, "update", "u", None)]))
            assert store.receipt(1, "event", "x") is None
            assert store.receipt(1, "update", "u") == (None,)
            assert store.receipt(2, "event", "x") == ('"accepted"',)

    # Attributes.

    def test_attributes_are_set_replaced_and_removed(self, tmp_path: Path) -> None:
        values = [(1, "text", "a"), (1, "number", 3), (1, "ratio", 0.5), (1, "flag", True)]
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), attributes=values))
            assert store.attributes(1) == {"text": "a", "number": 3, "ratio": 0.5, "flag": True}
            store.commit(Changes(attributes=[(1, "text", "b"), (1, "number", None)]))
            assert store.attributes(1) == {"text": "b", "ratio": 0.5, "flag": True}
            assert store.attributes(2) == {}

    def test_the_last_of_several_values_in_one_commit_stays(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            values = [(1, "a", 1), (1, "a", None), (1, "a", 2)]
            store.commit(inserted(instance_row(1), attributes=values))
            assert store.attributes(1) == {"a": 2}

    # Timers.

    def test_due_timers_come_earliest_first(self, tmp_path: Path) -> None:
        timers = [(at, 1, 1, at, "timer") for at in (30, 10, 20, 40)]
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), timers_added=timers))
            assert [timer[0] for timer in store.due_timers(30, 10)] == [10, 20, 30]
            assert [timer[0] for timer in store.due_timers(30, 2)] == [10, 20]
            assert store.due_timers(9, 10) == []
            assert store.earliest_timer() == 10

    def test_a_removed_timer_is_gone_and_only_that_one(self, tmp_path: Path) -> None:
        kept, gone = (10, 1, 1, 1, "timer"), (10, 1, 1, 1, "retry")
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1), timers_added=[kept, gone]))
            store.commit(Changes(timers_removed=[gone, (99, 1, 1, 1, "timer")]))
            assert store.due_timers(10, 10) == [kept]
            store.commit(Changes(timers_removed=[kept]))
            assert store.earliest_timer() is None

    # Lists.

    def test_a_list_is_in_order_of_creation_and_pages(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(*(instance_row(key) for key in range(1, 8))))
            assert _keys(store, limit=3) == [1, 2, 3]
            assert _keys(store, limit=3, after_key=3) == [4, 5, 6]
            assert _keys(store, limit=3, newest_first=True) == [7, 6, 5]
            assert _keys(store, limit=3, newest_first=True, after_key=5) == [4, 3, 2]
            assert _keys(store, after_key=7) == []

    def test_each_condition_of_a_query_selects(self, tmp_path: Path) -> None:
        rows = [
            instance_row(1, "a-1", created_at=10, waiting_for='["Approval"]'),
            instance_row(2, "a-2", created_at=20, name="refund"),
            instance_row(3, "b-1", created_at=30, status=Status.SUSPENDED),
            instance_row(4, "a%b", created_at=40),
        ]
        with self.opened(tmp_path) as store:
            store.commit(inserted(*rows, attributes=[(2, "team", "red"), (3, "team", "blue")]))
            assert _keys(store, statuses=[Status.SUSPENDED]) == [3]
            assert _keys(store, statuses=[Status.SUSPENDED, Status.RUNNING]) == [1, 2, 3, 4]
            assert _keys(store, names=["refund"]) == [2]
            assert _keys(store, id_prefix="a-") == [1, 2]
            assert _keys(store, id_prefix="a%") == [4]
            assert _keys(store, waiting_for="approval") == [1]
            assert _keys(store, created_from=20, created_to=30) == [2, 3]
            assert _keys(store, where=[("team", "red")]) == [2]
            assert _keys(store, where=[("team", "green")]) == []

    def test_all_conditions_of_a_query_hold_together(self, tmp_path: Path) -> None:
        values = [(key, "team", "red") for key in (1, 2)] + [(2, "size", 3)]
        with self.opened(tmp_path) as store:
            rows = [instance_row(1), instance_row(2), instance_row(3)]
            store.commit(inserted(*rows, attributes=values))
            assert _keys(store, where=[("team", "red"), ("size", 3)]) == [2]
            assert _keys(store, where=[("team", "red")], id_prefix="order-1") == [1]

    # Tenants.

    def test_a_list_is_of_one_tenant_or_of_all(self, tmp_path: Path) -> None:
        rows = [
            instance_row(1, tenant="acme"),
            instance_row(2),
            instance_row(3, tenant="acme", status=Status.SUSPENDED),
            instance_row(4, tenant="acme-2"),
        ]
        with self.opened(tmp_path) as store:
            store.commit(inserted(*rows, attributes=[(1, "team", "red"), (2, "team", "red")]))
            assert _keys(store) == [1, 2, 3, 4]
            assert _keys(store, tenant="acme") == [1, 3]
            assert _keys(store, tenant="") == [2]
            assert _keys(store, tenant="nobodys") == []
            assert _keys(store, tenant="acme", statuses=[Status.SUSPENDED]) == [3]
            assert _keys(store, tenant="acme", where=[("team", "red")]) == [1]
            assert _keys(store, tenant="acme", newest_first=True, limit=1) == [3]
            assert _keys(store, tenant="acme", newest_first=True, after_key=3) == [1]

    def test_an_instance_stays_its_tenants(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1, tenant="acme")))
            other = instance_row(1, tenant="beta", length=2)
            store.commit(Changes(updated=[other]))
            store.commit(Changes(advanced=[other]))
            found = store.load(1)
            assert found is not None and (found.tenant, found.length) == ("acme", 2)

    def test_the_inbox_is_of_one_tenant_or_of_all(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            rows = [instance_row(1, tenant="acme"), instance_row(2), instance_row(3, tenant="beta")]
            shown = [_asked("a", tenant="acme"), _asked("b"), _asked("c", tenant="beta")]
            store.commit(inserted(*rows, inbox=[*enumerate(shown, 1)]))
            assert _ids(store) == ["a", "b", "c"]
            assert _ids(store, tenant="acme") == ["a"]
            assert _ids(store, tenant="") == ["b"]
            assert _ids(store, tenant="nobodys") == []
            assert _ids(store, tenant="acme", view="all", order="newest") == ["a"]
            assert _ids(store, tenant="acme", text="refund a") == ["a"]
            assert _ids(store, tenant="acme", text="refund b") == []
            counts = store.inbox_counts(_query(tenant="acme"))
            assert (counts["needs_me"], counts["all"], counts["recent"]) == (1, 1, 0)
            found = store.inbox_row(1)
            assert found is not None and found.tenant == "acme"

    def test_an_inbox_within_queues_shows_these_and_what_concerns_the_person(
        self, tmp_path: Path
    ) -> None:
        others: dict[str, dict[str, Any]] = {
            "addressed": {"to": ["group:finance"]},
            "queue": {"to": ["group:legal"]},
            "requested": {"requester": "lena"},
            "held": {"holder": "lena"},
            "voted": {"voted": ["lena"]},
            "in_my_place": {"represented": ["lena"]},
            "asked": {"asked": ["group:finance"]},
            "asking": {"asked_by": ["lena"]},
            "absent": {"to": ["group:support"]},
            "foreign": {"to": ["omar"], "holder": "omar", "asked": ["omar"]},
            "everybodys": {"to": [], "pattern": "event"},
        }
        rows = [instance_row(key) for key in range(1, len(others) + 1)]
        shown = [
            (key, _asked(id, **{"to": ["omar"], **fields}))
            for key, (id, fields) in enumerate(others.items(), 1)
        ]
        mine: dict[str, Any] = {
            "recipients": ["lena", "group:finance"],
            "within": ["group:legal"],
            "view": "all",
        }
        with self.opened(tmp_path) as store:
            store.commit(inserted(*rows, inbox=[*shown]))
            absent = [Absent(id="grace", groups=["support"], roles=["approver"])]
            ids = _ids(store, **mine, stands_in_for=absent)
            assert ids == [id for id in others if id not in ("foreign", "everybodys")]
            assert "absent" not in _ids(store, **mine)
            assert store.inbox_counts(_query(**mine))["all"] == len(others) - 3
            assert len(_ids(store, **{**mine, "within": None})) == len(others)

    def test_an_inbox_shows_what_somebody_absent_might_decide(self, tmp_path: Path) -> None:
        absent = [
            Absent(id="grace", groups=["legal"], roles=["lead"]),
            Absent(id="noor", roles=["approver"]),
        ]
        others: dict[str, dict[str, Any]] = {
            "theirs": {"to": ["group:legal"]},
            "either": {"to": ["grace", "noor"], "not_by": ["grace"]},
            "own request": {"to": ["group:legal"], "requester": "grace"},
            "excluded": {"to": ["grace"], "not_by": ["group:legal"]},
            "by a role": {"to": ["grace"], "not_by": ["role:lead"]},
            "voted": {"to": ["grace"], "voted": ["grace"]},
            "voted for": {"to": ["grace"], "represented": ["grace"]},
            "I voted": {"to": ["grace"], "voted": ["lena"]},
            "mine to request": {"to": ["grace"], "requester": "lena"},
            "I am excluded": {"to": ["grace"], "not_by": ["lena"]},
            "somebody's": {"to": ["omar"]},
        }
        rows = [instance_row(key) for key in range(1, len(others) + 1)]
        shown = [(key, _asked(id, **fields)) for key, (id, fields) in enumerate(others.items(), 1)]
        with self.opened(tmp_path) as store:
            store.commit(inserted(*rows, inbox=[*shown]))
            assert _ids(store, stands_in_for=absent) == ["theirs", "either"]
            assert store.inbox_counts(_query(stands_in_for=absent))["needs_me"] == 2
            assert _ids(store) == []

    # Housekeeping.

    def test_housekeeping_changes_nothing_that_can_be_read(self, tmp_path: Path) -> None:
        row = _full_row()
        with self.opened(tmp_path) as store:
            store.commit(inserted(instance_row(1)))
            store.commit(_one_of_everything(row))
            store.checkpoint_if_due(idle=False)
            store.checkpoint_if_due(idle=True)
            _check_one_of_everything(store, row)

    def test_closing_twice_does_no_harm(self, tmp_path: Path) -> None:
        with self.opened(tmp_path) as store:
            store.close()


class _Cut(BaseException):
    """Ends a commit as a crash would."""


def _cut() -> None:
    raise _Cut


@contextmanager
def _raises(kind: type[BaseException]) -> Generator[None]:
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} was not raised.")


def _keys(store: Store, **conditions: Any) -> list[int]:
    return [row.key for row in store.list(Query(**conditions))]


_NOW = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)


def _asked(id: str, **fields: Any) -> InboxRow:
    """A question to Lena, unless it says to whom."""
    given: dict[str, Any] = {"to": ["lena"], "title": f"Refund {id}", "opened_at": _NOW, **fields}
    return InboxRow(id=id, **given)


def _query(**fields: Any) -> InboxQuery:
    given: dict[str, Any] = {"person": "lena", "recipients": ["lena"], "order": "oldest", **fields}
    return InboxQuery(now=_NOW, **given)


def _ids(store: Store, **fields: Any) -> list[str]:
    """Of the rows on the first page; rows that were opened at one moment come by their keys."""
    return [row.id for row in store.inbox(_query(**fields)).rows]


def _large(key: int) -> Changes:
    """Some megabytes of history."""
    rows = [history_row(key, number, '"' + "x" * 100_000 + '"') for number in range(1, 41)]
    return inserted(instance_row(key, length=40), history=rows)


def _full_row() -> InstanceRow:
    return instance_row(
        2, "order:42",
        version="v1", execution=3, status=Status.QUARANTINED, length=12, turned=11,
        head=bytes(range(32)), created_at=1_767_258_000_000_000, updated_at=1_767_258_000_000_001,
        visible_at=4_000_000_000_000_000, parent=1, parent_execution=1, parent_sequence=5,
        running=2, pending_events=3, waiting_for='["Approval","é"]', custom_status='{"a":1}',
        problem="the code changed", start_digest=b"0123456789abcdef", tags='{"team":"red"}',
        tenant="acme_2-x",
    )  # fmt: skip


def _one_of_everything(row: InstanceRow) -> Changes:
    return inserted(
        row,
        history=[history_row(2, 1, '"a"', execution=3), history_row(2, 2, '"b"', execution=3)],
        timers_added=[(50, 2, 3, 4, "timer")],
        receipts=[(1, "event", "click-1", '"accepted"')],
        attributes=[(1, "team", "red")],
    )


def _check_one_of_everything(store: Store, row: InstanceRow) -> None:
    assert store.find("order:42") == row
    assert [body for _, body, _ in store.history(2, 3)] == [b'"a"', b'"b"']
    assert store.due_timers(50, 10) == [(50, 2, 3, 4, "timer")]
    assert store.receipt(1, "event", "click-1") == ('"accepted"',)
    assert store.attributes(1) == {"team": "red"}
