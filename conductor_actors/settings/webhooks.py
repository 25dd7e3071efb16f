"""Settings of webhooks, which receive what happens in sessions."""

import re
from base64 import b64decode
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import BaseModel, Field, SecretStr, model_validator

from conductor_actors.adapters.webhooks.public_addresses import is_private_host
from conductor_actors.domain.identity import DEFAULT_TENANT, TENANT
from conductor_actors.ports.webhook_port import WebhookReceiver, WebhookReceivers

URL_EXAMPLE: Final = "https://example.com/engagement"
SECRET_EXAMPLE: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the documentation
WEBHOOKS_EXAMPLE: Final = f'{{"acme": {{"url": "{URL_EXAMPLE}", "secret": "{SECRET_EXAMPLE}"}}}}'

_SECRET: Final = re.compile(r"whsec_([A-Za-z0-9+/]+={0,2})")
_MIN_KEY_BYTES: Final = 24
_MAX_KEY_BYTES: Final = 64
_URL_CHARACTERS: Final = re.compile(r"[!-~]+")


class WebhookSettings(BaseModel):
    """Where events are sent, and how they are signed."""

    webhook_url: SecretStr | None = Field(
        default=None,
        description="URL that receives what happens in the sessions of all tenants that have none "
        "of their own in `CONDUCTOR_WEBHOOKS`: when a session has ended, with its report, and when "
        "an anomaly begins or ends. It begins with `https://`.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Secret that signs it as Standard Webhooks says: `whsec_` and 24 to 64 random "
        "bytes in base64, as of `openssl rand -base64 32`. Two, separated by a comma, sign both, "
        "while the receiver changes.",
    )
    webhooks: SecretStr | None = Field(
        default=None,
        description="URLs and secrets of tenants, as JSON or as the path of a file with it: "
        '`{"acme": {"url": "https://…", "secret": "whsec_…"}}`. A tenant with `null` has no '
        "webhook.",
    )
    webhook_allow_private: bool = Field(
        default=False,
        description="Whether webhooks may have private addresses, and URLs that begin with "
        "`http://`. Else tenants could reach your own servers.",
    )

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        self.webhook_receivers()
        return self

    def webhook_receivers(self) -> WebhookReceivers:
        """Return the receivers; raise `ValueError` in one line that names a variable."""
        return WebhookReceivers(self._own_receivers(), self._fallback_receiver())

    def _fallback_receiver(self) -> WebhookReceiver | None:
        url, secret = self.webhook_url, self.webhook_secret
        if url is None and secret is None:
            return None
        if secret is None:
            raise ValueError(
                "CONDUCTOR_WEBHOOK_SECRET: is required by CONDUCTOR_WEBHOOK_URL, e.g. "
                f"CONDUCTOR_WEBHOOK_SECRET={SECRET_EXAMPLE}"
            )
        if url is None:
            raise ValueError(
                "CONDUCTOR_WEBHOOK_URL: is required by CONDUCTOR_WEBHOOK_SECRET, e.g. "
                f"CONDUCTOR_WEBHOOK_URL={URL_EXAMPLE}"
            )
        return WebhookReceiver(
            _checked_url("CONDUCTOR_WEBHOOK_URL", url.get_secret_value(), self._allows_private),
            _checked_secrets("CONDUCTOR_WEBHOOK_SECRET", secret.get_secret_value()),
        )

    def _own_receivers(self) -> dict[str, WebhookReceiver | None]:
        if self.webhooks is None:
            return {}
        given = _parsed(self.webhooks.get_secret_value().strip())
        return {tenant: self._own_receiver(tenant, each) for tenant, each in given.items()}

    def _own_receiver(self, tenant: str, given: object) -> WebhookReceiver | None:
        name = f"CONDUCTOR_WEBHOOKS: {tenant!r}"
        if tenant != DEFAULT_TENANT and TENANT.fullmatch(tenant) is None:
            raise ValueError(f"{name}: is no tenant, which matches {TENANT.pattern}")
        if given is None:
            return None
        match given:
            case {"url": str(url), "secret": str(secret), **others} if not others:
                return WebhookReceiver(
                    _checked_url(name, url, self._allows_private), _checked_secrets(name, secret)
                )
        raise ValueError(f"{name}: needs url and secret, e.g. {WEBHOOKS_EXAMPLE}")

    @property
    def _allows_private(self) -> bool:
        return self.webhook_allow_private


def _parsed(text: str) -> dict[str, Any]:
    """Return the object that a text is, or that the file with this path has."""
    if not text.startswith("{"):
        try:
            text = Path(text).expanduser().read_text(encoding="utf-8")
        except (OSError, ValueError, RuntimeError):
            raise ValueError(
                f"CONDUCTOR_WEBHOOKS: is neither JSON nor a file that can be read, e.g. "
                f"CONDUCTOR_WEBHOOKS={WEBHOOKS_EXAMPLE}"
            ) from None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError(
            f"CONDUCTOR_WEBHOOKS: is no JSON object, e.g. CONDUCTOR_WEBHOOKS={WEBHOOKS_EXAMPLE}"
        ) from None


def _checked_url(name: str, url: str, allow_private: bool) -> str:
    """Return a URL, which is never part of an error: it may contain a secret."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or _URL_CHARACTERS.fullmatch(url) is None:
        raise ValueError(f"{name}: the URL can't be read, e.g. {URL_EXAMPLE}")
    if parts.scheme != "https" and not (parts.scheme == "http" and allow_private):
        raise ValueError(
            f"{name}: the URL must begin with https:// (or http:// with "
            f"CONDUCTOR_WEBHOOK_ALLOW_PRIVATE=true), e.g. {URL_EXAMPLE}"
        )
    if parts.username is not None or parts.fragment:
        raise ValueError(f"{name}: the URL may have no user and no #, e.g. {URL_EXAMPLE}")
    if is_private_host(host) and not allow_private:
        raise ValueError(
            f"{name}: the host is private; CONDUCTOR_WEBHOOK_ALLOW_PRIVATE=true allows it, e.g. "
            f"{URL_EXAMPLE}"
        )
    return url


def _checked_secrets(name: str, text: str) -> tuple[str, ...]:
    """Return the secrets that commas separate, in base64."""
    found = [_SECRET.fullmatch(each.strip()) for each in text.split(",")]
    keys = [each and each[1] for each in found]
    if not all(key is not None and _is_key(key) for key in keys):
        raise ValueError(
            f"{name}: the secret must be whsec_ and {_MIN_KEY_BYTES} to {_MAX_KEY_BYTES} bytes in "
            f"base64, e.g. {SECRET_EXAMPLE}"
        )
    return tuple(key for key in keys if key is not None)


def _is_key(text: str) -> bool:
    try:
        return _MIN_KEY_BYTES <= len(b64decode(text, validate=True)) <= _MAX_KEY_BYTES
    except ValueError:
        return False
