"""The SQLite store keeps the contract, on a file and in memory."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import cast

from adjourn.store.protocol import Store
from adjourn.store.sqlite import SQLiteStore
from adjourn.testing import StoreContract
from tests.store.files import no_room


class TestFileStore(StoreContract):
    def make_store(self, path: str) -> Store:
        return SQLiteStore(path)

    def make_rival(self, path: str) -> Store:
        return SQLiteStore(path, lock=False)

    def filled(self, store: Store) -> AbstractContextManager[None]:
        return no_room(cast("SQLiteStore", store))


class TestMemoryStore(StoreContract):
    survives_closing = False

    def make_store(self, path: str) -> Store:
        return SQLiteStore(":memory:")

    def filled(self, store: Store) -> AbstractContextManager[None]:
        return no_room(cast("SQLiteStore", store))
