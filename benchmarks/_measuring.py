"""What every benchmark here shares: arguments, machine facts, the bare disk, and the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
from rich.console import Console
from rich.table import Table

BARE_COMMITS = 2_000
ROW = b"x" * 200


def parser(question: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=question)
    made.add_argument("--json", action="store_true", help="also print one line of JSON")
    made.add_argument("--dir", type=Path, help="where the files go; decides which disk is measured")
    return made


@contextmanager
def folder(inside: Path | None) -> Iterator[Path]:
    """A folder that is gone afterwards, on the disk that is to be measured."""
    with tempfile.TemporaryDirectory(prefix="adjourn-bench-", dir=inside) as name:
        yield Path(name)


def machine(where: Path) -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "disk": _file_system(where),
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
    }


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _file_system(where: Path) -> str:
    """Its kind: a figure from tmpfs says nothing about a disk."""
    try:
        import psutil
    except ImportError:
        return "unknown"
    path = str(where.resolve())
    mounts = [part for part in psutil.disk_partitions(all=True) if path.startswith(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


@dataclass(frozen=True)
class BareDisk:
    """One row a commit, WAL and synchronous=FULL: what no durable engine can beat."""

    per_second: float
    p50_ms: float


def bare_disk(where: Path, commits: int = BARE_COMMITS) -> BareDisk:
    file = where / "bare.db"
    file.unlink(missing_ok=True)
    db = apsw.Connection(str(file))
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute("CREATE TABLE bare (row BLOB)")
    seconds: list[float] = []
    for _ in range(commits):
        before = time.perf_counter()
        db.execute("INSERT INTO bare VALUES (?)", (ROW,))
        seconds.append(time.perf_counter() - before)
    db.close()
    return BareDisk(commits / sum(seconds), percentile(seconds, 50) * 1e3)


def between(before: BareDisk, after: BareDisk) -> BareDisk:
    """The disk's pace drifts within minutes: measure it on both sides of what is compared to it."""
    return BareDisk((before.per_second + after.per_second) / 2, (before.p50_ms + after.p50_ms) / 2)


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass
class Report:
    """A table for people, and the same figures for programs."""

    title: str
    where: Path
    rows: list[tuple[str, str]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, value: float, text: str) -> None:
        self.figures[name] = round(value, 4)
        self.rows.append((name.replace("_", " "), text))

    def show(self, *, as_json: bool) -> None:
        facts = machine(self.where)
        table = Table(title=self.title, title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, text in self.rows:
            table.add_row(name, text)
        caption = ", ".join(f"{name} {value}" for name, value in facts.items())
        console = Console(width=None if sys.stdout.isatty() else 110)
        console.print(table)
        console.print(caption, highlight=False)
        if as_json:
            print(json.dumps({"benchmark": self.title, **self.figures, "machine": facts}))
