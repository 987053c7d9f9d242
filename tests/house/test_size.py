"""Small functions and small modules: the whole of each fits in a head."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST_FUNCTION_LINES = 70
LONGEST_MODULE_LINES = 600

# What is too long today: "src/adjourn/room/module.py", or that with "::Class.function" after it.
# This list only shrinks: split something and take its line out.
STILL_TOO_LONG: frozenset[str] = frozenset()


def too_long(path: Path, name: str) -> Iterator[tuple[str, int]]:
    """What in this file is too long, by name, with its number of lines."""
    source = path.read_text(encoding="utf-8")
    lines = len(source.splitlines())
    if lines > LONGEST_MODULE_LINES:
        yield name, lines
    for function, length in functions(ast.parse(source)):
        if length > LONGEST_FUNCTION_LINES:
            yield f"{name}::{function}", length


def functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                assert child.end_lineno is not None
                yield prefix + child.name, child.end_lineno - child.lineno + 1
                yield from functions(child, f"{prefix}{child.name}.")
            case ast.ClassDef():
                yield from functions(child, f"{prefix}{child.name}.")
            case _:
                yield from functions(child, prefix)


def found() -> dict[str, int]:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "apps").rglob("*.py")]
    assert files, "No source found to measure: this test looks in src and apps."
    return {
        name: lines
        for path in files
        for name, lines in too_long(path, path.relative_to(ROOT).as_posix())
    }


def test_no_function_is_longer_than_a_screen_and_no_module_than_a_sitting() -> None:
    new = {name: lines for name, lines in found().items() if name not in STILL_TOO_LONG}

    assert not new, (
        f"Too long, in lines: {new}. A function ends within {LONGEST_FUNCTION_LINES}, a module "
        f"within {LONGEST_MODULE_LINES}. Take a part out and give it a name that says what it does."
    )


def test_what_became_short_leaves_the_list() -> None:
    short = STILL_TOO_LONG - found().keys()

    assert not short, f"Well done. Now take this out of STILL_TOO_LONG in {__file__}: {short}"


def test_a_long_function_and_a_long_module_are_seen(tmp_path: Path) -> None:
    body = "        pass\n"
    at_the_limit = "class A:\n    def fits(self):\n" + body * (LONGEST_FUNCTION_LINES - 1)
    over_the_limit = "    async def spills(self):\n" + body * LONGEST_FUNCTION_LINES
    (tmp_path / "functions.py").write_text(at_the_limit + over_the_limit)
    (tmp_path / "module.py").write_text("x = 1\n" * (LONGEST_MODULE_LINES + 1))

    assert dict(too_long(tmp_path / "functions.py", "functions.py")) == {
        "functions.py::A.spills": LONGEST_FUNCTION_LINES + 1
    }
    assert dict(too_long(tmp_path / "module.py", "module.py")) == {
        "module.py": LONGEST_MODULE_LINES + 1
    }
