"""Files of others are the ones that we looked at, and each is accounted for."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VENDOR = ROOT / "src/adjourn/dashboard/static/vendor"
LIST = "VENDORED.md"
ROW = re.compile(r"^\| `([^`]+)` \| .+ \| [\d.]+ \| `([0-9a-f]{64})` \|$", re.MULTILINE)


def differences(folder: Path) -> Iterator[str]:
    """What is in the folder and not on its list as it is, or the other way round."""
    listed = dict(ROW.findall((folder / LIST).read_text(encoding="utf-8")))
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LIST
    }
    for name in sorted(listed.keys() | found.keys()):
        if listed.get(name) != found.get(name):
            yield f"{name}: listed {listed.get(name)}, found {found.get(name)}"


def test_every_vendored_file_is_the_one_on_the_list() -> None:
    wrong = list(differences(VENDOR))

    assert not wrong, f"Take the released file again, or correct {LIST}:\n" + "\n".join(wrong)


def test_every_vendored_script_has_its_licence_beside_it() -> None:
    assert sorted(path.name for path in VENDOR.glob("*.js")) == ["htmx.min.js"]
    assert (VENDOR / "htmx.LICENSE.txt").read_text(encoding="utf-8").startswith("Zero-Clause BSD")


@pytest.mark.parametrize(
    ("name", "content"), [("a.js", "b"), ("new.js", ""), ("a.js", None)], ids=str
)
def test_an_altered_an_added_and_a_lost_file_are_seen(
    tmp_path: Path, name: str, content: str | None
) -> None:
    row = f"| `a.js` | a, `dist/a.js` | 1.0 | `{hashlib.sha256(b'a').hexdigest()}` |\n"
    (tmp_path / LIST).write_text(row)
    (tmp_path / "a.js").write_text("a")
    before = list(differences(tmp_path))

    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)

    assert before == []
    assert [line.split(":")[0] for line in differences(tmp_path)] == [name]
