"""The gates close: each is shown failing on a planted violation, and passing without one.

A rule that is misspelled, or looks in the wrong folder, passes for ever. So each test copies the
tree, plants one violation, and runs the real tool with the project's real settings.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
AGENT = "support_agent"

ROOMS = "Imports point down only"
PURE = "The pure rooms do no IO and read no clock"
SQLITE = "SQLite has one door: adjourn.store"
PUBLIC = "The support agent uses the public surface only"


class Tree:
    """A copy of the project's sources and settings, to plant violations in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(ROOT / "pyproject.toml", root)
        no_caches = shutil.ignore_patterns("__pycache__", "*.db*")
        shutil.copytree(ROOT / "src", root / "src", ignore=no_caches)
        if (ROOT / "apps").is_dir():
            shutil.copytree(ROOT / "apps", root / "apps", ignore=no_caches)
        self.library = root / "src/adjourn"
        self.agent = self._agent()
        (self.library / "__init__.py").touch()
        for room in self._required_rooms():
            self._build(room)

    def plant(self, room: str, source: str) -> None:
        """Add these lines to a room of the library (or to the agent), wherever its code lives."""
        package = self.agent if room == AGENT else self.library / room
        file = package / "planted.py" if package.is_dir() else package.with_suffix(".py")
        file.write_text((file.read_text() if file.exists() else "") + source)

    def lint_imports(self) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(self.library.parent), str(self.agent.parent)])
        return self._run("lint-imports", "--no-logo", "--no-cache", PYTHONPATH=path)

    def ruff(self) -> subprocess.CompletedProcess[str]:
        return self._run("ruff", "check", "--no-cache", "--output-format=concise", ".")

    def _run(
        self, tool: str, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        # COLUMNS: the linter's words are not broken over lines.
        return subprocess.run(
            [TOOLS / tool, *arguments],
            cwd=self.root,
            env={**os.environ, "COLUMNS": "200", **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    def _required_rooms(self) -> list[str]:
        rooms = contract("rooms")["layers"]
        names = [name.strip() for layer in rooms for name in layer.split("|")]
        return [name for name in names if not name.startswith("(")]

    def _build(self, room: str) -> None:
        if not (self.library / f"{room}.py").exists():
            (self.library / room).mkdir(exist_ok=True)
            (self.library / room / "__init__.py").touch()

    def _agent(self) -> Path:
        for found in self.root.glob(f"apps/{AGENT}/**/{AGENT}/__init__.py"):
            return found.parent
        built = self.root / "apps" / AGENT / "src" / AGENT
        built.mkdir(parents=True)
        (built / "__init__.py").touch()
        return built


def contract(name: str) -> dict[str, list[str]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    return next(each for each in contracts if each["id"] == name)


def kept(output: str) -> list[str]:
    return re.findall(r"^(.+?) KEPT\b", output, re.MULTILINE)


def broken(output: str) -> list[str]:
    return re.findall(r"^(.+?) BROKEN\b", output, re.MULTILINE)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_the_untouched_tree_keeps_every_import_contract(tree: Tree) -> None:
    result = tree.lint_imports()

    assert result.returncode == 0, result.stdout + result.stderr
    assert kept(result.stdout) == [ROOMS, PURE, SQLITE, PUBLIC]


@pytest.mark.parametrize(
    ("room", "line", "imported", "contract_name"),
    [
        ("model", "from adjourn import engine", "adjourn.engine", ROOMS),
        ("replay", "import adjourn.store", "adjourn.store", ROOMS),
        ("backends", "def late():\n    from adjourn import client", "adjourn.client", ROOMS),
        ("replay", "import time", "time", PURE),
        ("authoring", "from pathlib import Path", "pathlib", PURE),
        ("model", "import concurrent.futures", "concurrent", PURE),
        ("engine", "import apsw", "apsw", SQLITE),
        (AGENT, "import apsw", "apsw", SQLITE),
        (AGENT, "from adjourn import engine", "adjourn.engine", PUBLIC),
        (AGENT, "import adjourn.model", "adjourn.model", PUBLIC),
    ],
)
def test_a_planted_import_breaks_its_contract(
    tree: Tree, room: str, line: str, imported: str, contract_name: str
) -> None:
    tree.plant(room, f"{line}\n")

    result = tree.lint_imports()

    assert result.returncode == 1, result.stdout + result.stderr
    assert contract_name in broken(result.stdout)
    assert re.search(rf"{room}\S* -> {re.escape(imported)} \(l\.\d\)", result.stdout)


def test_a_room_without_a_place_in_the_layers_is_refused(tree: Tree) -> None:
    (tree.library / "attic.py").touch()

    result = tree.lint_imports()

    assert result.returncode == 1, result.stdout + result.stderr
    assert "adjourn.attic" in result.stdout


def test_the_agent_may_import_the_public_names_and_the_testing_room(tree: Tree) -> None:
    tree.plant(AGENT, "import adjourn\nimport adjourn.testing\nfrom adjourn import testing\n")

    result = tree.lint_imports()

    assert PUBLIC in kept(result.stdout), result.stdout + result.stderr


def test_the_store_may_open_sqlite_through_its_one_door(tree: Tree) -> None:
    door = tree.library / "store/sqlite"
    if door.is_dir():
        (door / "planted.py").write_text("import apsw\n")
    else:
        (tree.library / "store/sqlite.py").write_text("import apsw\n")

    result = tree.lint_imports()

    assert SQLITE in kept(result.stdout), result.stdout + result.stderr


def test_the_approval_machine_is_a_pure_room_from_its_first_day() -> None:
    assert "adjourn.approvals" in contract("pure")["source_modules"]


def test_the_untouched_tree_passes_ruff(tree: Tree) -> None:
    result = tree.ruff()

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("source", "banned"),
    [
        ("import time\n\nnow = time.time()\n", "time.time"),
        ("from time import monotonic\n\nnow = monotonic()\n", "time.monotonic"),
        (
            "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)\n",
            "datetime.datetime.now",
        ),
        ("import datetime as d\n\nnow = d.datetime.now()\n", "datetime.datetime.now"),
        ("import uuid\n\nid = uuid.uuid4()\n", "uuid.uuid4"),
        ("import random\n\ndie = random.randint(1, 6)\n", "random.randint"),
        ("from random import shuffle\n\nshuffle([1, 2])\n", "random.shuffle"),
    ],
)
def test_a_planted_clock_read_or_throw_of_dice_is_refused_with_the_next_move(
    tree: Tree, source: str, banned: str
) -> None:
    tree.plant("replay", source)

    result = tree.ruff()

    assert result.returncode == 1, result.stdout + result.stderr
    assert re.search(rf"replay.*TID251 `{re.escape(banned)}` is banned: \w+", result.stdout)


def test_seeded_dice_are_allowed(tree: Tree) -> None:
    before = tree.ruff()
    tree.plant("replay", "import random\n\ndie = random.Random(7).randint(1, 6)\n")

    assert tree.ruff().stdout == before.stdout


def test_a_planted_print_is_refused(tree: Tree) -> None:
    tree.plant("replay", 'print("here")\n')

    result = tree.ruff()

    assert result.returncode == 1, result.stdout + result.stderr
    assert "T201" in result.stdout


@pytest.mark.parametrize(
    ("source", "refused"),
    [("def twice(x: int) -> int:\n    return 2 * x\n", False), ("def twice(x): return x\n", True)],
    ids=["typed", "untyped"],
)
def test_types_are_strict_in_the_library(tmp_path: Path, source: str, refused: bool) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "apps").mkdir()
    (tmp_path / "src/adjourn").mkdir(parents=True)
    (tmp_path / "src/adjourn/planted.py").write_text(source)

    result = subprocess.run(
        [TOOLS / "pyright", "--pythonpath", sys.executable],
        cwd=tmp_path,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, "reportUnknownParameterType" in result.stdout) == (
        int(refused),
        refused,
    ), result.stdout + result.stderr
