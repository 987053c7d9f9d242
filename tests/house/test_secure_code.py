"""What no code of ours may do, found in the syntax tree: no pickle, no eval, no `==` on secrets.

Bandit looks for much of this as well (`make check`). These rules know our names, and each is shown
to find what it looks for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("apps/*/src/**/*.py")])

Nodes = list[ast.AST]
Rule = Callable[[Nodes, str], Iterator[tuple[int, str]]]

UNPICKLES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "joblib"}
RUNS = {"eval", "exec", "compile", "__import__"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
LOADS = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}
WEAK = {"md5", "sha1"}
UNCHECKED = {"CERT_NONE", "_create_unverified_context"}

SECRET = re.compile(
    r"(?:^|_)(?:tokens?|secrets?|signatures?|passwords?|passphrases?|mac|hmac|nonce|csrf|verifier|"
    r"key_hash|key_digest|secret_hash|secret_digest|session_id|api_keys?)$"
)
HARMLESS = {"page_token", "next_token", "continuation_token"}
"""Places in a list, which everybody may know."""

SECRETS_ARE_MADE_IN = re.compile(r"adjourn/(?:access|notify|server|dashboard|store)/")

SQL = re.compile(
    r"\s*(?:SELECT\b.*\bFROM\b|INSERT\s.*\bINTO\b|UPDATE\s+\S+\s+SET\b|DELETE\s+FROM\b|PRAGMA\s|"
    r"(?:CREATE|DROP|ALTER)\s+(?:TABLE|INDEX|VIEW|TRIGGER)\b|VACUUM\s)",
    re.IGNORECASE | re.DOTALL,
)
SQL_PARTS: dict[str, set[str]] = {
    # Whole conditions and orders of ours, chosen by words of a closed type; what a user said is
    # bound: `given.bind` returns the name of a parameter.
    "adjourn/store/inbox.py": {
        "', '.join(COLUMNS)",
        "', '.join('?' * len(COLUMNS))",
        "', '.join((f'{name} = excluded.{name}' for name in COLUMNS if name != 'execution'))",
        "_DERIVE_AT_ONCE",
        "_index_of(before)",
        "_index_of(row)",
        "index",
        "limit",
        "source",
        "text",
        "sums",
        "among",
        "order.listed",
        "where",
        "order.sorted",
        "bound",
        "skipped",
    },
    "adjourn/store/inbox_search.py": {
        "_index_of(view)",
        "columns",
        "join",
        "asked",
        "self._by_index(view, each)",
    },
    # The columns of a table, as the same module names them.
    "adjourn/store/queries.py": {"INSTANCE_COLUMNS", "_INSTANCE_MARKS"},
    "adjourn/store/records.py": {"APPLICATION_ID"},
    "support_agent/shop/database.py": {"pragma"},
    # Constants of this module, numbers, and conditions written in `_list_query`, values bound.
    "adjourn/store/sqlite.py": {
        "pragma",
        "APPLICATION_ID",
        "len(_migrations())",
        "sql.INSTANCE_COLUMNS",
        "where",
        "order",
    },
}
"""What may stand in SQL beside constants. Nothing in it comes from a request or a file."""


def dotted(node: ast.AST) -> str:
    """`os.path.join` of such an expression; its last name where it begins with something else."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            before = dotted(value)
            return f"{before}.{name}" if before else name
        case _:
            return ""


def calls(nodes: Nodes) -> Iterator[ast.Call]:
    return (node for node in nodes if isinstance(node, ast.Call))


def nothing_is_unpickled(nodes: Nodes, _: str) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        for name in names:
            if name.partition(".")[0] in UNPICKLES:
                yield node.lineno, f"{name} runs what it reads: use adjourn.model.codec"
    for call in calls(nodes):
        if dotted(call.func) in LOADS:
            yield call.lineno, "YAML makes objects of any class: use JSON or TOML"


def no_text_is_run(nodes: Nodes, _: str) -> Iterator[tuple[int, str]]:
    for call in calls(nodes):
        name = dotted(call.func)
        if name in RUNS or name.removeprefix("builtins.") in RUNS - {"compile"}:
            yield call.lineno, f"{name} runs text as code"
        if name in SHELLS:
            yield call.lineno, f"{name} asks a shell: give subprocess a list"
        for keyword in call.keywords:
            if keyword.arg == "shell" and not is_false(keyword.value):
                yield call.lineno, "shell= asks a shell: give subprocess a list"


def certificates_are_checked(nodes: Nodes, _: str) -> Iterator[tuple[int, str]]:
    for call in calls(nodes):
        for keyword in call.keywords:
            if keyword.arg in ("verify", "check_hostname", "verify_ssl") and is_false(
                keyword.value
            ):
                yield call.lineno, f"{keyword.arg}=False believes any server"
    for node in nodes:
        if isinstance(node, ast.Attribute) and node.attr in UNCHECKED:
            yield node.lineno, f"{node.attr} believes any server"
        if isinstance(node, ast.Assign) and is_false(node.value):
            for target in node.targets:
                if dotted(target).endswith(".check_hostname"):
                    yield node.lineno, "check_hostname = False believes any server"


def hashes_hold(nodes: Nodes, _: str) -> Iterator[tuple[int, str]]:
    for call in calls(nodes):
        name = dotted(call.func)
        if name == "hashlib.new" and call.args and isinstance(call.args[0], ast.Constant):
            name = str(call.args[0].value)
        if name.rpartition(".")[2].lower() in WEAK and not any(
            each.arg == "usedforsecurity" and is_false(each.value) for each in call.keywords
        ):
            yield call.lineno, f"{name} can be forged: use sha256"
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "hashlib":
            for alias in node.names:
                if alias.name in WEAK:
                    yield node.lineno, f"{alias.name} can be forged: use sha256"


def secrets_are_compared_in_constant_time(nodes: Nodes, _: str) -> Iterator[tuple[int, str]]:
    for node in nodes:
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if not isinstance(operator, ast.Eq | ast.NotEq):
                continue
            if isinstance(left, ast.Constant) or isinstance(right, ast.Constant):
                continue  # whether there is one at all
            for side in (left, right):
                name = secret_name(side)
                if name:
                    yield (
                        node.lineno,
                        f"{name} is compared by its first difference: use hmac.compare_digest",
                    )
                    break


def secret_name(node: ast.AST) -> str:
    """The name by which an expression looks like a secret; empty where it does not."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            pass
        case ast.Call(func=ast.Attribute(value=value, attr="encode" | "decode" | "strip" | "hex")):
            return secret_name(value)
        case ast.Call(func=func):
            name = dotted(func).rpartition(".")[2]
        case _:
            name = dotted(node).rpartition(".")[2]
    plain = name.lower().replace("-", "_").lstrip("_")
    return name if SECRET.search(plain) and plain not in HARMLESS else ""


def dice_make_no_secrets(nodes: Nodes, path: str) -> Iterator[tuple[int, str]]:
    if not SECRETS_ARE_MADE_IN.search(path):
        return
    for node in nodes:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if "random" in names:
            yield (
                node.lineno,
                "random can be foretold: use secrets, or take the value as a parameter",
            )


def sql_is_made_of_constants(nodes: Nodes, path: str) -> Iterator[tuple[int, str]]:
    allowed = SQL_PARTS.get(path.partition("src/")[2], set())
    for node in nodes:
        match node:
            case ast.JoinedStr(values=values):
                text = "".join(
                    str(each.value) if isinstance(each, ast.Constant) else "?" for each in values
                )
                parts = [each.value for each in values if isinstance(each, ast.FormattedValue)]
            case ast.BinOp(left=ast.Constant(value=str() as text), right=right):
                parts = [right]
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str() as text))):
                parts = [*node.args, *(each.value for each in node.keywords)]
            case _:
                continue
        for part in parts if SQL.match(text) else ():
            if ast.unparse(part) not in allowed:
                yield node.lineno, f"{ast.unparse(part)!r} stands in SQL: bind it as a parameter"


def is_false(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


RULES: tuple[Rule, ...] = (
    nothing_is_unpickled,
    no_text_is_run,
    certificates_are_checked,
    hashes_hold,
    secrets_are_compared_in_constant_time,
    dice_make_no_secrets,
    sql_is_made_of_constants,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_code_of_ours_does_it(rule: Rule, trees: dict[str, Nodes]) -> None:
    said = [
        f"{path}:{line}: {why}" for path, nodes in trees.items() for line, why in rule(nodes, path)
    ]

    assert not said, "\n".join(said)


@pytest.fixture(scope="module")
def trees() -> dict[str, Nodes]:
    found = {
        path.relative_to(ROOT).as_posix(): list(
            ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        )
        for path in SOURCES
    }
    assert len(found) > 100, "This test looks in src and apps, and found next to nothing."
    return found


PLANTED = [
    (nothing_is_unpickled, "import pickle"),
    (nothing_is_unpickled, "from marshal import loads"),
    (nothing_is_unpickled, "import shelve as s"),
    (nothing_is_unpickled, "def late():\n    import dill"),
    (nothing_is_unpickled, "yaml.load(text)"),
    (nothing_is_unpickled, "yaml.full_load(text)"),
    (no_text_is_run, "eval(text)"),
    (no_text_is_run, "exec(text)"),
    (no_text_is_run, "builtins.eval(text)"),
    (no_text_is_run, "compile(text, 'x', 'exec')"),
    (no_text_is_run, "os.system('ls')"),
    (no_text_is_run, "os.popen('ls')"),
    (no_text_is_run, "subprocess.run('ls', shell=True)"),
    (no_text_is_run, "subprocess.run('ls', shell=wanted)"),
    (certificates_are_checked, "httpx.get(url, verify=False)"),
    (certificates_are_checked, "context.verify_mode = ssl.CERT_NONE"),
    (certificates_are_checked, "context.check_hostname = False"),
    (certificates_are_checked, "ssl._create_unverified_context()"),
    (hashes_hold, "hashlib.md5(text)"),
    (hashes_hold, "hashlib.sha1(text, usedforsecurity=True)"),
    (hashes_hold, "hashlib.new('md5', text)"),
    (hashes_hold, "from hashlib import sha1"),
    (secrets_are_compared_in_constant_time, "token == given"),
    (secrets_are_compared_in_constant_time, "self._secret != other"),
    (secrets_are_compared_in_constant_time, "request.signature == sign(body)"),
    (secrets_are_compared_in_constant_time, "headers['x-api-key'] == key"),
    (secrets_are_compared_in_constant_time, "row.key_hash == digest"),
    (secrets_are_compared_in_constant_time, "given == password.encode()"),
    (secrets_are_compared_in_constant_time, "given == make_signature(body)"),
    (secrets_are_compared_in_constant_time, "a == b == csrf"),
    (dice_make_no_secrets, "import random"),
    (dice_make_no_secrets, "from random import choice"),
    (sql_is_made_of_constants, "f'SELECT * FROM t WHERE id = {id}'"),
    (sql_is_made_of_constants, "f'select * from {table}'"),
    (sql_is_made_of_constants, "'DELETE FROM t WHERE id = %s' % id"),
    (sql_is_made_of_constants, "'DELETE FROM t WHERE id = ' + id"),
    (sql_is_made_of_constants, "'UPDATE t SET a = {}'.format(id)"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "source"), PLANTED, ids=[f"{rule.__name__}-{source}" for rule, source in PLANTED]
)
def test_a_planted_one_is_found(rule: Rule, source: str) -> None:
    assert list(rule(list(ast.walk(ast.parse(source))), "src/adjourn/access/planted.py"))


@pytest.mark.parametrize(
    "source",
    [
        "import json",
        "re.compile(text)",
        "subprocess.run(['ls'], shell=False)",
        "httpx.get(url, verify=True)",
        "hashlib.sha256(text)",
        "hashlib.sha1(text, usedforsecurity=False)",
        "hmac.compare_digest(token, given)",
        "token == ''",
        "query.page_token == page.next_token",
        "tokens = 3",
        "row.kind == kind",
        "import secrets",
        "'SELECT * FROM t WHERE id = ?'",
        "f'{name} was selected'",
        "f'Select one of {names}'",
    ],
)
def test_what_is_right_passes(source: str) -> None:
    nodes = list(ast.walk(ast.parse(source)))

    assert [why for rule in RULES for _, why in rule(nodes, "src/adjourn/access/right.py")] == []
