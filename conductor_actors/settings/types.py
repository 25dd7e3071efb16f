"""Types of settings, with what their values must match."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

NAMESPACE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}:?")


PUBLIC_URL: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?", re.ASCII)


def _namespace(text: str) -> str:
    if text and NAMESPACE.fullmatch(text) is None:
        raise ValueError(f"does not match {NAMESPACE.pattern}")
    return text.removesuffix(":")


def split_at_commas(value: object) -> object:
    """Return the parts of a text that commas separate."""
    if not isinstance(value, str):
        return value
    return tuple(part for text in value.split(",") if (part := text.strip()))


def _public_url(text: str) -> str:
    if PUBLIC_URL.fullmatch(text) is None:
        raise ValueError("must be the URL of a page, without a user, a query or a fragment")
    return text if text.endswith("/") else f"{text}/"


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_at_commas)]
Namespace = Annotated[str, AfterValidator(_namespace)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
Port = Annotated[int, Field(ge=0, le=65535)]
Weight = Annotated[float, Field(ge=0, le=1)]
