"""What an action says: checked before it is stored, and plain and short when it is sent."""

from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conductor_actors.domain.conductor.interventions import ACTIONS, ActionType
from conductor_actors.domain.conductor.templates import (
    DEFAULT_TEMPLATES,
    MAX_CONTENT_CHARS,
    MAX_OPTION_CHARS,
    PLACEHOLDERS,
    check_content,
    filled_in,
    rendered,
)

VALUES: Final[dict[str, str | int]] = {
    "people": 52,
    "reason": "No message in the last 20 s.",
    "session": "s-1",
    "event": "e-1",
    "anomaly": "sudden drop",
}
GAME: Final = DEFAULT_TEMPLATES["GAMIFICATION"]["content"]
kinds = st.sampled_from(ACTIONS)
any_text = st.text(st.characters(codec=None), max_size=600)
plain = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)
pieces = plain.filter(lambda text: not any(char in text for char in "{}")) | st.sampled_from(
    [*(f"{{{name}}}" for name in PLACEHOLDERS), "{", "}{", "{}", "{ people }", "{1}"]
)
texts = st.lists(pieces, min_size=1, max_size=5).map(
    lambda parts: " ".join(parts)[:MAX_CONTENT_CHARS]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def poll(**changes: object) -> dict[str, Any]:
    return {"poll": {"question": "Which?", "options": ["a", "b"]} | changes}


def texts_of(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in texts_of(each)]
        case list():
            return [text for each in value for text in texts_of(each)]
    return []


@pytest.mark.parametrize("kind", ACTIONS)
def test_each_default_passes_the_check_of_templates(kind: ActionType) -> None:
    assert check_content(kind, DEFAULT_TEMPLATES[kind]) == DEFAULT_TEMPLATES[kind]


@pytest.mark.parametrize("kind", ACTIONS)
def test_without_a_template_the_default_is_filled_in(kind: ActionType) -> None:
    content = rendered({}, kind, VALUES)

    assert content == filled_in(DEFAULT_TEMPLATES[kind], VALUES)
    assert "{" not in "".join(texts_of(content))


def test_each_placeholder_is_replaced_by_its_value_everywhere() -> None:
    message = "{people} people, {anomaly} in {session} of {event}: {reason} {people}"
    template = {"message": message}

    content = rendered({"BROADCAST": template}, "BROADCAST", VALUES)

    assert content == {
        "message": "52 people, sudden drop in s-1 of e-1: No message in the last 20 s. 52"
    }
    assert template == {"message": message}, "the template is as it was"


def test_what_is_filled_in_is_not_searched_for_placeholders() -> None:
    values = VALUES | {"session": "{event}", "reason": "{0.__class__} %s {people}"}

    content = rendered({"BROADCAST": {"message": "{session}: {reason}"}}, "BROADCAST", values)

    assert content == {"message": "{event}: {0.__class__} %s {people}"}


@given(
    kinds,
    st.dictionaries(st.sampled_from(PLACEHOLDERS), any_text | st.integers()),
    st.sampled_from(PLACEHOLDERS),
)
def test_what_is_sent_is_plain_and_short_whatever_is_filled_in(
    kind: ActionType, values: dict[str, str | int], name: str
) -> None:
    question = poll(question=f"{{{name}}}", options=[f"{{{name}}}", "other"])
    templates: dict[ActionType, dict[str, Any]] = {"POLL": question}

    content = rendered(templates, kind, values)

    for text in texts_of(content):
        assert len(text) <= MAX_CONTENT_CHARS
        assert text.strip()
        text.encode()
        assert not any(char < " " or "\x7f" <= char < "\xa0" for char in text)
    for option in content.get("poll", {}).get("options", ()):
        assert len(option) <= MAX_OPTION_CHARS


@example("POLL", {"\ud800": None})
@example("BROADCAST", {"message": "\ud800"})
@given(kinds, json_values)
def test_content_of_any_other_shape_is_refused_with_one_sentence(
    kind: ActionType, content: object
) -> None:
    with pytest.raises(ValueError, match=rf"^{kind}: .+") as refused:
        check_content(kind, content)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= MAX_CONTENT_CHARS


@given(texts, texts)
def test_what_passes_the_check_passes_it_again_and_does_not_change(first: str, second: str) -> None:
    contents: list[tuple[ActionType, dict[str, Any]]] = [
        ("BROADCAST", {"message": first}),
        ("NOTIFICATION", {"content": second, "escalate": True}),
        ("POLL", poll(question=second, options=["first", "second"])),
    ]
    for kind, content in contents:
        checked = check_content(kind, content)

        assert check_content(kind, checked) == checked
        assert set(texts_of(content)) <= set(texts_of(checked))


def test_keys_with_a_default_may_be_missing() -> None:
    assert check_content("POLL", poll()) == poll(type="single_choice", duration=60)


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("POLL", poll(options=["a"]), "options"),
        ("POLL", poll(options=list("abcdefg")), "options"),
        ("POLL", poll(options=["a", "x" * 101]), "options"),
        ("POLL", poll(options=["a", "a"]), "the same twice"),
        ("POLL", poll(duration=9), "duration"),
        ("POLL", poll(duration=3601), "duration"),
        ("POLL", poll(duration=True), "duration"),
        ("POLL", poll(type="a b"), "type"),
        ("POLL", poll(type="poll\n"), "type"),
        ("POLL", poll(html="<b>"), "unknown field"),
        ("POLL", poll() | {"more": 1}, "unknown field"),
        ("POLL", {"poll": {"options": ["a", "b"]}}, "question"),
        ("BROADCAST", {"message": ""}, "message"),
        ("BROADCAST", {"message": "  "}, "only spaces"),
        ("BROADCAST", {"message": "x" * 501}, "message"),
        ("BROADCAST", {"message": "a\nb"}, "control characters"),
        ("BROADCAST", {"message": "a\0b"}, "control characters"),
        ("BROADCAST", {"message": "\ud800"}, "control characters"),
        ("BROADCAST", {"message": "a\u202eb"}, "control characters"),
        ("BROADCAST", {"message": "{people} {nobody}"}, r"Unknown placeholder.*\{people\}"),
        ("NOTIFICATION", {"content": "a", "escalate": 1}, "escalate"),
        ("GAMIFICATION", {"content": GAME | {"multiplier": float("nan")}}, "multiplier"),
        ("GAMIFICATION", {"content": GAME | {"multiplier": float("inf")}}, "multiplier"),
        ("GAMIFICATION", {"content": GAME | {"duration_minutes": 121}}, "duration_minutes"),
        ("GAMIFICATION", {"content": GAME | {"rewards": list("abcdefg")}}, "rewards"),
    ],
)
def test_content_that_can_not_be_sent_is_refused_by_name(
    kind: ActionType, content: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        check_content(kind, content)


@pytest.mark.parametrize("text", ["<b>bold</b>", "100 % {", "naïve 👩‍👩‍👧 日本語", "%s {0} {}"])
def test_text_is_text(text: str) -> None:
    content = check_content("BROADCAST", {"message": text})

    assert filled_in(content, VALUES) == {"message": text}
