"""What is published holds all that the library reads when it runs."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("built")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return folder


def files_of_the_library() -> set[str]:
    """All of them, so that a page, a style or a script is not forgotten."""
    library = ROOT / "src/adjourn"
    return {
        path.relative_to(library.parent).as_posix()
        for path in library.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_library(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert "adjourn/dashboard/static/vendor/htmx.min.js" in names
    assert files_of_the_library() - names == set()


def test_the_source_distribution_holds_every_file_of_the_library(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/src/")[2] for name in archive.getnames() if "/src/" in name}

    assert "adjourn/dashboard/static/vendor/htmx.min.js" in names
    assert files_of_the_library() - names == set()
