"""The documents: what they say of the repository is true, and every link leads somewhere."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner

import conductor_actors
from conductor_actors.cli import app
from conductor_actors.domain.events import EVENT_STREAMS, OWN_NAMES
from conductor_actors.domain.scoring import Scoring
from tests.benchmarks.__main__ import FAMILIES
from tests.support.documents import BENCHMARKS, CLIENT, OPERATIONS, README, examples, prose
from tests.support.processes import ROOT

DOCUMENTS: Final = (README, OPERATIONS, CLIENT, BENCHMARKS, ROOT / "deploy" / "SETTINGS.md")
PACKAGE: Final = ROOT / "conductor_actors"
SERVERS: Final = {"Redis", "TimescaleDB"}
SUFFIXES: Final = r"(?:py|sql|acl|yaml|json|js|ts|sh|md|example|service)"
GONE: Final = re.compile(
    r"\b(own (?:Valkey|PostgreSQL)|state folder|set aside|janitor|inquiry|census|fleet|shelf)\b",
    re.IGNORECASE,
)

NAMES = [str(document.relative_to(ROOT)) for document in DOCUMENTS]
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)


def glossary(text: str) -> dict[str, str]:
    """Return the words of a glossary, from a table or from columns, with their meanings."""
    rows = re.findall(r"^(?:\| )?(\w+(?: \w+)?)(?: \| |  +)(.+?)(?: \|)?$", text, re.MULTILINE)
    return dict(rows)


def section(document: Path, title: str) -> str:
    [text] = re.findall(
        rf"^## {title}\n(.*?)(?=^## |\Z)", document.read_text(), re.MULTILINE | re.DOTALL
    )
    return str(text)


def code(document: Path) -> list[str]:
    """Return the pieces of code between the words of a document."""
    return re.findall(r"`([^`\n]+)`", prose(document))


INTRODUCTION: Final = conductor_actors.__doc__ or ""
GLOSSARY: Final = glossary(section(README, "Glossary").partition("|---|---|")[2])


def test_the_readme_has_at_most_11_kb() -> None:
    assert README.stat().st_size <= 13_500


def test_the_picture_is_the_packages_and_has_every_actor() -> None:
    picture = examples(README)[0].text
    assert picture in INTRODUCTION
    source = "".join(path.read_text() for path in (PACKAGE / "actors").glob("*.py"))
    actors = set(re.findall(r"^class (\w+)Actor\(", source, re.MULTILINE))
    assert set(re.findall(r"\b[A-Z][a-zA-Z]+\b", picture)) - {"Tick"} == actors | SERVERS


def test_the_glossary_is_the_packages_and_short() -> None:
    assert glossary(INTRODUCTION.partition("Glossary:")[2]) == GLOSSARY
    assert len(GLOSSARY) <= 30


@pytest.mark.parametrize("word", GLOSSARY)
def test_the_code_uses_each_word_of_the_glossary(word: str) -> None:
    name = word.replace(" ", "_?")
    paths = set(PACKAGE.rglob("*.py")) - {PACKAGE / "__init__.py"}
    assert any(re.search(name, path.read_text(), re.IGNORECASE) for path in paths)


def test_the_layers_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = settings["tool"]["importlinter"]["contracts"][0]
    [said] = re.findall(r"^__main__ >.*?\n\n", INTRODUCTION, re.MULTILINE | re.DOTALL)
    assert " ".join(said.split()) == " > ".join(contract["layers"])


@each_document
def test_every_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        path, _, anchor = target.partition("#")
        linked = (document.parent / path).resolve() if path else document
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(document: Path) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@each_document
def test_every_path_exists(document: Path) -> None:
    for text in code(document):
        if re.fullmatch(r"(conductor_actors|tests|deploy|\.ci)/[\w./-]*", text):
            assert (ROOT / text).exists(), text
        elif re.fullmatch(rf"[\w./@-]*\.{SUFFIXES}", text):
            folders = (document.parent, ROOT / "deploy")
            assert any([*folder.rglob(text)] for folder in folders), text


@each_document
def test_no_word_is_one_that_was_given_up(document: Path) -> None:
    assert GONE.findall(document.read_text()) == []


def test_the_readme_lists_every_package_and_folder() -> None:
    listed = set(
        re.findall(r"^\| `([\w/.]+)` \|", section(README, "Where things are"), re.MULTILINE)
    )
    packages = {f"conductor_actors/{path.parent.name}/" for path in PACKAGE.glob("*/__init__.py")}
    assert listed == packages | {"deploy/", "tests/"}


def commands() -> Iterator[str]:
    """Return the program's commands; those of a group count as one."""
    for command in app.registered_commands:
        yield command.name or command.callback.__name__  # type: ignore[union-attr]
    for group in app.registered_groups:
        yield str(group.name)


def test_the_readme_lists_every_command() -> None:
    rows = re.findall(r"^\| (`.*?) \|", section(README, "Commands"), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`([\w-]+)`", row)]
    assert sorted(listed) == sorted(commands())


@each_document
def test_every_command_takes_its_options(document: Path) -> None:
    names = set(commands())
    for text in code(document):
        words = text.removeprefix("python -m conductor_actors ").split()
        if words[0] in names and len(words) > 1:
            ended = CliRunner().invoke(app, [*words, "--help"])
            assert ended.exit_code == 0, (text, ended.output)


def test_the_readme_names_every_event() -> None:
    text = section(README, "Use your own servers").replace("…", "platform.events.")
    named = set(re.findall(r"(?:platform\.\w+\.[\w.-]+\.v1|(?<=`)sync-events)", text))

    assert named == set(EVENT_STREAMS) - set(OWN_NAMES)


def test_the_readmes_contributions_are_the_default_weights() -> None:
    said = re.findall(r"\| (?:up|down) to \W(\d\.\d\d) \|", README.read_text())
    scoring = Scoring()
    assert [float(each) for each in said] == [
        scoring.chat_weight,
        scoring.poll_weight,
        scoring.active_users_weight,
        scoring.reactions_weight,
        scoring.leave_rate_weight,
    ]


def test_the_benchmarks_page_has_a_figure_of_every_family() -> None:
    families = re.findall(r"^\| `(\w+)` \|", section(BENCHMARKS, "Figures"), re.MULTILINE)
    assert set(families) == FAMILIES.keys()
