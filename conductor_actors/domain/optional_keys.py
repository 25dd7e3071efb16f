"""The optional keys of an event, which is counted without those that can't be used."""

from typing import Final

import msgspec

from conductor_actors.domain.identity import Id

_MESSAGES: Final = ("message", "payload")  # of a chat message, and of its mirror

# A value stays raw: a number may be one that no type can hold.
_Object = dict[str, msgspec.Raw]
_object: Final = msgspec.json.Decoder(_Object)
_id: Final = msgspec.json.Decoder(Id | None)
_encode: Final = msgspec.json.Encoder().encode


def remove_unusable_keys(body: bytes) -> tuple[bytes, list[str]]:
    """Return a JSON body without the optional keys that can't be used, and their names.

    A usable id is text of 1 to 255 characters without NUL. The names are a closed set, such as
    `eventId` and `message.author.id`. Raises msgspec's errors for what is not a JSON object.
    """
    document = _object.decode(body)
    removed = _remove(document, "", ("eventId", "userId"))
    for name in _MESSAGES:
        message = _nested(document, name)
        if message is None:
            continue
        found = _remove(message, "message.", ("id", "authorId"))
        author = _nested(message, "author")
        if author is not None:
            found += _remove(author, "message.author.", ("id",))
            message["author"] = msgspec.Raw(_encode(author))
        elif message.get("author", b"null") != b"null":
            del message["author"]
            found.append("message.author")
        document[name] = msgspec.Raw(_encode(message))
        removed += found
    return (_encode(document), removed) if removed else (body, [])


def _nested(place: _Object, key: str) -> _Object | None:
    try:
        return _object.decode(place[key])
    except (KeyError, msgspec.ValidationError):
        return None


def _remove(place: _Object, path: str, keys: tuple[str, ...]) -> list[str]:
    unusable = [key for key in keys if key in place and not _is_usable(place[key])]
    for key in unusable:
        del place[key]
    return [path + key for key in unusable]


def _is_usable(value: msgspec.Raw) -> bool:
    try:
        found = _id.decode(value)
    except msgspec.ValidationError:
        return False
    return found is None or "\0" not in found
