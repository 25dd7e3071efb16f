import ast
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

from conductor_actors.domain.events import OWN_NAMES
from conductor_actors.log_events import AnyEvent

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "conductor_actors"
FILES = sorted(PACKAGE.rglob("*.py"))
BROAD = {"Exception", "BaseException"}


def test_code_depends_one_way_and_the_domain_is_pure() -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == EXIT_STATUS_SUCCESS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_a_command_without_a_dashboard_imports_no_web_server() -> None:
    code = "import conductor_actors.cli, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert not {b"uvicorn", b"starlette", b"socketio"} & {*done.stdout.split()}


# Where every exception may be caught, and why there.
CATCH_ALL = {
    "actors/runtime/base.py": "an actor that fails must be reported to its Supervisor",
    "domain/failures.py": "one item that raises must not cost the others",
}


def test_every_exception_is_caught_only_where_it_must_be() -> None:
    broad = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in BROAD))
    }
    assert broad == CATCH_ALL.keys()


@pytest.mark.parametrize(
    ("method", "places"),
    [
        ("isoformat", {"instants.py"}),
        ("fromtimestamp", set()),
        # The two others refuse a text without a time zone.
        (
            "fromisoformat",
            {"instants.py", "dashboard/http/query.py", "adapters/recordings/csv_rows.py"},
        ),
    ],
)
def test_an_instant_is_written_and_read_in_one_place(method: str, places: set[str]) -> None:
    assert places == {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if f".{method}(" in path.read_text(encoding="utf-8")
    }


@pytest.mark.parametrize(
    "word", ["redis", "valkey", "postgres", "conductor_", "conductor:", "python -m", "ConfigError"]
)
def test_the_domain_names_no_server_setting_key_or_command(word: str) -> None:
    for path in (PACKAGE / "domain").glob("*.py"):
        text = path.read_text(encoding="utf-8").replace("conductor_actors.", "")
        for name in OWN_NAMES:  # under which the service reads, as under those of events
            text = text.replace(name, "")
        assert word.lower() not in text.lower(), path.name


def test_the_code_emits_every_log_event_and_writes_no_other_line() -> None:
    code = [path for path in FILES if "log_events" not in path.parts]
    emitted = {name for path in code for name in _emitted(path)}
    assert emitted == {kind.__name__ for kind in get_args(AnyEvent)}
    assert not {path for path in code if "structlog.get_logger" in path.read_text("utf-8")}


def test_every_log_event_is_named_by_a_noun_and_what_became_of_it() -> None:
    for kind in get_args(AnyEvent):
        assert len(kind.event_name().split("_")) >= 2, kind
        assert kind.__doc__, kind


def test_a_class_name_and_a_module_name_stand_once_in_the_package() -> None:
    """A reader who searches for a name finds one thing."""
    classes = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    modules = [path.stem for path in FILES if not path.stem.startswith("__")]
    repeated = {name for name, count in Counter(classes + modules).items() if count > 1}
    assert repeated == set()


def test_a_constant_name_stands_in_one_module() -> None:
    """A reader who searches for a constant finds one bound, not two."""
    constant = re.compile(r"_?[A-Z][A-Z0-9_]+")
    names = [
        target.id
        for path in FILES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and constant.fullmatch(target.id)
    ]
    assert {name for name, count in Counter(names).items() if count > 1} == set()


def test_docstrings_open_with_what_the_caller_gets() -> None:
    vague = re.compile(r"(Gives?|Tells?|Says?|Lets?|Takes?|Notes?|Keeps?|Looks?|Have|Has)\b")
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    found = [
        (path.name, line)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, documented)
        and (line := (ast.get_docstring(node) or "").partition("\n")[0])
        and vague.match(line)
    ]
    assert found == []


def _emitted(path: Path) -> set[str]:
    """Find `emit(Event(…))`, and `emit(Event(…).of_session(…))`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "emit":
            found.add(ast.unparse(node.args[0]).partition("(")[0])
    return found
