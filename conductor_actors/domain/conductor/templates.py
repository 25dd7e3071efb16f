"""What each action says: the default texts, their placeholders, and the check of other texts.

A template is the content of an action with placeholders in its texts, such as `{people}`. They are
replaced when the action is decided. All texts are plain: nobody interprets them as HTML.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec

from conductor_actors.domain.conductor.interventions import ActionType, Content
from conductor_actors.domain.texts.plain_text import NOT_PLAIN

MAX_CONTENT_CHARS: Final = 500
MAX_OPTION_CHARS: Final = 100
MIN_POLL_S: Final = 10
MAX_POLL_S: Final = 3600
MAX_GAME_MINUTES: Final = 120

# People in the session, why it was decided, the ids of session and event, the type of anomaly.
PLACEHOLDERS: Final = ("people", "reason", "session", "event", "anomaly")

_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CONTENT_CHARS)]
Option = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_OPTION_CHARS)]
Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")]


class PollText(msgspec.Struct, forbid_unknown_fields=True):
    """A poll: its `duration` is in seconds, and its `type` is a word of the platform's."""

    question: Text
    options: Annotated[list[Option], msgspec.Meta(min_length=2, max_length=6)]
    type: Word = "single_choice"
    duration: Annotated[int, msgspec.Meta(ge=MIN_POLL_S, le=MAX_POLL_S)] = 60


class GameText(msgspec.Struct, forbid_unknown_fields=True):
    """A game: what is played, and what can be won."""

    name: Text
    description: Text
    action: Word = "start_challenge"
    template: Word = "chat_sprint"
    rewards: Annotated[list[Option], msgspec.Meta(max_length=6)] = []
    duration_minutes: Annotated[int, msgspec.Meta(ge=1, le=MAX_GAME_MINUTES)] = 5
    multiplier: Annotated[float, msgspec.Meta(ge=1, le=10)] = 2.0


class PollContent(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a POLL."""

    poll: PollText


class BroadcastContent(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a BROADCAST: a message to everybody in the session."""

    message: Text


class NotificationContent(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a NOTIFICATION: a message to those who run the session."""

    content: Text
    notification_type: Word = "engagement_alert"
    target: Word = "host"
    escalate: bool = False


class GameContent(msgspec.Struct, forbid_unknown_fields=True):
    """The content of a GAMIFICATION."""

    content: GameText


CONTENT_TYPES: Final[Mapping[ActionType, type[msgspec.Struct]]] = MappingProxyType(
    {
        "POLL": PollContent,
        "BROADCAST": BroadcastContent,
        "NOTIFICATION": NotificationContent,
        "GAMIFICATION": GameContent,
    }
)

_DEFAULTS: Final[tuple[tuple[ActionType, msgspec.Struct], ...]] = (
    (
        "POLL",
        PollContent(
            PollText(
                "How is this session going for you right now?",
                [
                    "Just right",
                    "A bit too fast",
                    "A bit too slow",
                    "I'd like an example",
                    "I have a question",
                ],
            )
        ),
    ),
    (
        "BROADCAST",
        BroadcastContent(
            "What is the one thing you would like to ask or add at this point? "
            "Write it in the chat: we will pick up as many as we can."
        ),
    ),
    (
        "NOTIFICATION",
        NotificationContent(
            "{reason} A question to the audience, an example or a short break often helps."
        ),
    ),
    (
        "GAMIFICATION",
        GameContent(
            GameText(
                "Five-minute challenge",
                "For the next five minutes, every message and every vote counts twice. "
                "Share the idea of this session that you will use first.",
                rewards=["Double points"],
            )
        ),
    ),
)
DEFAULT_TEMPLATES: Final[Mapping[ActionType, Content]] = MappingProxyType(
    {kind: msgspec.to_builtins(content) for kind, content in _DEFAULTS}
)


def check_content(kind: ActionType, content: object) -> dict[str, Any]:
    """Return the content of an action in full: keys that have a default may be missing.

    Raise `ValueError`, with one sentence, for unknown keys, wrong types and sizes, text that is not
    plain, and placeholders that are not known.
    """
    try:
        checked = msgspec.convert(content, CONTENT_TYPES[kind])
    except (msgspec.ValidationError, UnicodeEncodeError) as error:  # a lone surrogate in a key
        # It quotes keys, which may be of any length and have any characters.
        raise ValueError(_cut(_plain(f"{kind}: {error}"), MAX_CONTENT_CHARS)) from None
    found: dict[str, Any] = msgspec.to_builtins(checked)
    for place, value in _values(found, "$"):
        if reason := _problem(value):
            raise ValueError(f"{kind}: {reason} - at `{place}`")
    return found


def rendered(
    templates: Mapping[ActionType, dict[str, Any]],
    kind: ActionType,
    values: Mapping[str, str | int],
) -> dict[str, Any]:
    """Return the content of an action: its template, or the default, with the values filled in.

    A placeholder without a value disappears, and a text that gets too long is cut.
    """
    return filled_in(templates.get(kind) or DEFAULT_TEMPLATES[kind], values)


def filled_in(content: Content, values: Mapping[str, str | int]) -> dict[str, Any]:
    """Return checked content with the values filled in."""
    return {key: _filled_in(value, values, MAX_CONTENT_CHARS) for key, value in content.items()}


def _filled_in(value: object, values: Mapping[str, str | int], max_chars: int) -> Any:  # noqa: ANN401
    match value:
        case str():
            # A single pass: what is filled in is not searched for placeholders.
            text = _PLACEHOLDER.sub(lambda found: _plain(values.get(found[1], "")), value)
            return _cut(text, max_chars)
        case list():
            return [_filled_in(each, values, MAX_OPTION_CHARS) for each in value]
        case Mapping():
            return filled_in(value, values)
        case _:
            return value


def _plain(value: str | int) -> str:
    return NOT_PLAIN.sub(" ", str(value))


def _cut(text: str, max_chars: int) -> str:
    if not text.strip():
        return "…"
    return text if len(text) <= max_chars else text[: max_chars - 1] + "…"


def _values(value: object, place: str) -> Iterator[tuple[str, object]]:
    """Return each list and each value in some content, and where it is."""
    match value:
        case Mapping():
            for key, each in value.items():
                yield from _values(each, f"{place}.{key}")
        case list():
            yield place, value
            for each in value:
                yield from _values(each, f"{place}[...]")
        case _:
            yield place, value


def _problem(value: object) -> str | None:
    """Return what is wrong with a value; None if nothing is."""
    match value:
        case str() if not value.strip():
            return "Expected text, got only spaces"
        case str() if NOT_PLAIN.search(value):
            return "Expected plain text on one line, got control characters"
        case str():
            names = set(_PLACEHOLDER.findall(value)).difference(PLACEHOLDERS)
            return f"Unknown placeholder, known are {_PLACEHOLDER_NAMES}" if names else None
        case list() if len(set(value)) < len(value):
            return "Expected different texts, got the same twice"
    return None


_PLACEHOLDER_NAMES: Final = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
