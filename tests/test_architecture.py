import ast
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from conductor_actors.log_events import ALWAYS, VOCABULARY

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "conductor_actors"
FILES = sorted(PACKAGE.rglob("*.py"))
LEVELS = {"debug", "info", "warning", "error"}


def test_code_depends_one_way_and_the_domain_is_pure() -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_only_the_actors_base_catches_every_exception() -> None:
    broad = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id == "Exception"))
    }
    assert broad == {"actors/runtime/base.py"}


def test_the_vocabulary_lists_every_log_line_with_exactly_its_keys() -> None:
    said: dict[str, set[str]] = {}
    for path in FILES:
        for call in _log_calls(path):
            name = call.args[0]
            assert isinstance(name, ast.Constant), f"{path}:{call.lineno}: not a constant"
            keys = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
            said.setdefault(str(name.value), set()).update(keys)
    listed = {name: set(line.keys) - set(ALWAYS) for name, line in VOCABULARY.items()}
    assert {name: keys - set(ALWAYS) for name, keys in said.items()} == listed


def test_every_name_in_the_vocabulary_is_a_noun_and_what_became_of_it() -> None:
    assert all(
        name == name.lower() and len(name.split("_")) >= 2 and line.meaning
        for name, line in VOCABULARY.items()
    )


def _log_calls(path: Path) -> list[ast.Call]:
    """Find `log.info("…")`, `self._log.info("…")` and `_log_of(…).info("…")`."""
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and "log" in ast.unparse(node.func.value)
        and node.args
    ]
