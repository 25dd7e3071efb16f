"""What is compiled, and what mypyc would change without a word. `.ci/check-compiled` runs it."""

import ast
import importlib
import os
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Final

import pytest

import conductor_actors
from conductor_actors.compiled import IS_COMPILED
from conductor_actors.log_events import ServiceStarted
from tests.support.processes import ROOT

PACKAGE: Final = Path(conductor_actors.__file__).parent
MUST_BE_COMPILED: Final = "CONDUCTOR_TEST_COMPILED" in os.environ


def hot_path() -> tuple[str, ...]:
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HOT_PATH":
            return tuple(ast.literal_eval(node.value))
    raise AssertionError


def classes_in(path: Path) -> Iterator[ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def options_of_structs() -> Iterator[tuple[str, str, str, object]]:
    """Return module, class, option and value, as the source has them."""
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for each in classes_in(path):
            if any("Struct" in ast.unparse(base) for base in each.bases):
                for option in each.keywords:
                    if isinstance(option.value, ast.Constant):
                        yield module, each.name, str(option.arg), option.value.value


def test_it_is_known_whether_the_hot_path_is_compiled() -> None:
    assert IS_COMPILED == MUST_BE_COMPILED
    assert "compiled" in ServiceStarted.__struct_fields__


@pytest.mark.parametrize("name", hot_path())
def test_the_whole_hot_path_is_compiled_or_none_of_it(name: str) -> None:
    module = importlib.import_module(f"conductor_actors.{name.replace('/', '.')}")
    assert str(module.__file__).endswith(tuple(EXTENSION_SUFFIXES)) == MUST_BE_COMPILED


@pytest.mark.parametrize("name", hot_path())
def test_no_compiled_module_has_structs_or_dataclasses_with_slots(name: str) -> None:
    for each in classes_in(PACKAGE / f"{name}.py"):
        assert not each.keywords, f"mypyc drops the options of {each.name}"
        assert "slots=True" not in "".join(map(ast.unparse, each.decorator_list)), each.name


def test_every_struct_has_the_options_of_its_source() -> None:
    options = list(options_of_structs())
    assert {"frozen", "gc", "array_like"} <= {option for _, _, option, _ in options}
    for module, name, option, value in options:
        config = getattr(importlib.import_module(module), name).__struct_config__
        if hasattr(config, option):
            assert getattr(config, option) == value, f"{module}.{name}: {option}"
