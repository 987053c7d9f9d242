"""What no file of the project may say, and what the changelog must."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written in parts, or this file would be the first to break its own rule.
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(parts))
        for parts in [
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("npmjs", "org"),
            ("npmjs", "com"),
            ("yarnpkg", "com"),
            ("deb", "debian", "org"),
            ("crates", "io"),
            ("proxy", "golang", "org"),
        ]
    ),
    re.IGNORECASE,
)
# An absolute path on somebody's machine; not the path of a web address, nor of a template.
MACHINE_PATHS = re.compile(r"(?<![\w.}\-])/(?:(?:work|root|tmp|opt)/|(?:home|Users)/\w)")


def project_files() -> list[Path]:
    """What git tracks or would track; without git, all that is not made by `make`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        names = [name for name in listing.stdout.split("\0") if name]
        return [ROOT / name for name in names if (ROOT / name).is_file()]
    made = {"__pycache__", "build", "dist"}
    return [
        path
        for path in ROOT.rglob("*")
        if path.is_file()
        and not any(
            part in made or (part.startswith(".") and part not in {".ci", ".gitignore"})
            for part in path.relative_to(ROOT).parts
        )
    ]


def text_of(path: Path) -> str:
    """The text of a file; nothing where it holds bytes that are no text (a picture, say)."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def places(pattern: re.Pattern[str]) -> Iterator[str]:
    for path in project_files():
        for number, line in enumerate(text_of(path).splitlines(), start=1):
            if pattern.search(line):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()}"


def test_the_files_of_the_project_are_found() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in project_files()}

    assert {"pyproject.toml", "Makefile", "requirements/dev.txt"} <= names


def test_no_file_names_a_registry() -> None:
    said = list(places(REGISTRY_HOSTS))

    assert not said, "Say 'the registry'; each machine's own settings name it:\n" + "\n".join(said)


def test_no_file_holds_a_path_of_one_machine() -> None:
    said = list(places(MACHINE_PATHS))

    assert not said, "Write the path from the root of the project:\n" + "\n".join(said)


@pytest.mark.parametrize(
    "line",
    [
        "see " + "/" + "work/notes",
        '"' + "/" + "tmp/x.db" + '"',
        "in /" + "home/ann",
        "/" + "root/.c",
    ],
)
def test_a_machine_path_is_recognised(line: str) -> None:
    assert MACHINE_PATHS.search(line)


@pytest.mark.parametrize(
    "line", ["https://example.com/work/1", "src/work/x.py", "{base}/tmp/x", "/homepage", "/work"]
)
def test_a_web_address_and_a_relative_path_are_not_machine_paths(line: str) -> None:
    assert not MACHINE_PATHS.search(line)


def test_a_registry_is_recognised() -> None:
    assert REGISTRY_HOSTS.search("--index-url https://" + "PyPI" + ".org/simple")


def test_the_version_is_in_the_changelog() -> None:
    version = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["version"]
    heading = "Unreleased" if ".dev" in version else version

    assert re.search(
        rf"^## \[{re.escape(heading)}\]", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE
    ), f"pyproject.toml says version {version}: CHANGELOG.md needs a heading '## [{heading}]'."


def test_no_lock_file_is_tracked() -> None:
    locks = [path for path in project_files() if path.name == "uv.lock"]

    assert not locks, (
        "A uv.lock records registry addresses: remove it; 'make pins' writes our pins."
    )
