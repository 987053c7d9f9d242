"""The thread that drives an engine: it sleeps until a message comes or a timer is due."""

from __future__ import annotations

import logging
import threading
from queue import Empty

from adjourn.engine.clock import Clock
from adjourn.engine.engine import Engine
from adjourn.errors import AdjournError, EngineStoppedError, StorageFullError
from adjourn.model.state import to_microseconds
from adjourn.store.sqlite import SQLiteStore

_log = logging.getLogger("adjourn.engine")

LONGEST_SLEEP = 60.0
"""Seconds. Sleeping is measured by a clock that does not follow corrections of the wall clock; a
look once a minute notices one. It costs nothing measurable (benchmarks/waiting.py)."""
IDLE_AFTER = 1.0  # seconds without work before the write-ahead log is moved into the file
DISK_FULL_PAUSE = 1.0  # seconds before what met a full disk is tried again


class EngineThread:
    """Owns the engine and its store from `start` to `stop`."""

    def __init__(self, engine: Engine, store: SQLiteStore, clock: Clock) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._stopping = False
        self._stop_asked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="adjourn-engine", daemon=True)

    def start(self) -> None:
        self._store.let_thread_go()
        self._thread.start()

    def stop(self) -> None:
        """Finish the step at hand, close the file. Blocks; call it from another thread."""
        self._stopping = True
        self._stop_asked.set()
        self._engine.submit(None)
        self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._recover()
            more, idle = True, False
            while not self._stopping:
                if not more:
                    more, idle = self._sleep(idle)
                if not self._stopping and more:
                    more = self._engine.step(self._clock.now())
                    idle = False
        except AdjournError as error:
            _log.critical("The engine has stopped: %s", error)
            self._engine.unclean = True
            self._engine.stop(error)
        except BaseException as error:
            _log.exception("The engine has stopped on an error of its own")
            self._engine.unclean = True
            self._engine.stop(EngineStoppedError(repr(error)))
        else:
            self._engine.stop(EngineStoppedError("it was closed"))
        finally:
            if self._engine.unclean:
                self._store.abandon()
            else:
                self._store.close()

    def _recover(self) -> None:
        """Take up what was in flight; on a full disk, again and again until there is room."""
        while not self._stopping:
            try:
                self._engine.recover(self._clock.now())
                return
            except StorageFullError as error:
                _log.error("%s", error)
                self._stop_asked.wait(DISK_FULL_PAUSE)

    def _sleep(self, idle: bool) -> tuple[bool, bool]:
        """Returns whether there is work, and whether idle work has been done."""
        seconds = self._seconds_to_timer()
        if seconds <= 0:
            return True, idle
        if not idle:
            seconds = min(seconds, IDLE_AFTER)
        try:
            message = self._engine.inbox.get(timeout=min(seconds, LONGEST_SLEEP))
        except Empty:
            if not idle:
                self._store.checkpoint_if_due(idle=True)
            return self._engine.disk_full or self._seconds_to_timer() <= 0, True
        self._engine.first = message
        return True, idle

    def _seconds_to_timer(self) -> float:
        if self._engine.disk_full:
            return DISK_FULL_PAUSE
        earliest = self._engine.earliest_timer()
        if earliest is None:
            return LONGEST_SLEEP
        return (earliest - to_microseconds(self._clock.now())) / 1_000_000
