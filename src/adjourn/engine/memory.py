"""What the engine holds in memory: recently active instances, attempts in flight, who waits."""

from __future__ import annotations

from collections import OrderedDict, deque

from adjourn.authoring.registry import Registry
from adjourn.engine.instance import Instance
from adjourn.engine.listing import is_listed
from adjourn.engine.messages import ActivityCall, Reply
from adjourn.errors import InstanceNotFoundError
from adjourn.store.protocol import Store

BUSY_FACTOR = 10
"""Instances with running activities may be this many times as many as parked ones."""

Call = tuple[int, int, int]
"""Instance key, execution, sequence."""


class Memory:
    """All of it can be lost at any moment: the store brings it back."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self.registry = registry
        self.store = store
        self.cache: OrderedDict[int, Instance] = OrderedDict()
        """By key, the least recently active first."""
        self._parked: OrderedDict[int, None] = OrderedDict()
        """Those of them that run no activity and so may wait for days."""
        self.keys: dict[str, int] = {}
        self.in_flight: dict[Call, ActivityCall] = {}
        """Attempts that run now."""
        self.result_waiters: dict[int, list[Reply]] = {}
        self.update_waiters: dict[tuple[int, str], list[Reply]] = {}
        self.runnable: deque[int] = deque()
        """Keys of pending instances whose first turn is due."""
        self._next_key = store.next_key()

    def find(self, instance_id: str) -> Instance:
        """Raises: InstanceNotFoundError."""
        found = self.look_up(instance_id)
        if found is None:
            raise InstanceNotFoundError(instance_id)
        return found

    def look_up(self, instance_id: str) -> Instance | None:
        key = self.keys.get(instance_id)
        if key is not None:
            return self.by_key(key)
        row = self.store.find(instance_id)
        return None if row is None else self.adopt(Instance(row, listed=is_listed(row)))

    def by_key(self, key: int) -> Instance | None:
        found = self.cache.get(key)
        if found is not None:
            self.cache.move_to_end(key)
            return found
        row = self.store.load(key)
        return None if row is None else self.adopt(Instance(row, listed=is_listed(row)))

    def adopt(self, instance: Instance) -> Instance:
        self.cache[instance.row.key] = instance
        self._parked[instance.row.key] = None
        self.keys[instance.row.id] = instance.row.key
        return instance

    def drop(self, instance: Instance) -> None:
        instance.let_go()
        self.cache.pop(instance.row.key, None)
        self._parked.pop(instance.row.key, None)
        self.keys.pop(instance.row.id, None)

    def new_key(self) -> int:
        key = self._next_key
        self._next_key += 1
        return key

    def note(self, instance: Instance) -> None:
        """Busy instances stay, for their next turn is near; parked ones queue for eviction."""
        key = instance.row.key
        if instance.row.running:
            self._parked.pop(key, None)
        elif key in self.cache:
            self._parked[key] = None
            self._parked.move_to_end(key)

    def trim(self, size: int) -> None:
        """Keep the `size` most recently active parked instances, and some more busy ones."""
        while len(self._parked) > size:
            self.drop(self.cache[next(iter(self._parked))])
        while len(self.cache) > size * BUSY_FACTOR:
            self.drop(next(iter(self.cache.values())))
