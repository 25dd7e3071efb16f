"""The `token` command: sign a token, and print the link that opens what it is for."""

import sys
import time
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

import typer

from conductor_actors.app.startup import configure
from conductor_actors.commands.terminal import print_stderr, printable, require_text
from conductor_actors.dashboard.access.tokens import Grant, parse_expiry, sign_token
from conductor_actors.dashboard.options import is_loopback, page_url
from conductor_actors.domain.identity import DEFAULT_TENANT
from conductor_actors.errors import ConfigError
from conductor_actors.instants import to_iso
from conductor_actors.settings import Settings

UNRESERVED: Final = "!'()*-._~"  # what encodeURIComponent, which the page uses, leaves as it is


def print_link(  # noqa: PLR0913, PLR0917 - each is an option
    tenant: Annotated[
        str, typer.Option(help="The tenant that the token gives access to.")
    ] = DEFAULT_TENANT,
    session: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A session; may be repeated.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="An event: all of its sessions; may be repeated."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="TIME", help="How long the token is valid: 90s, 30m, 2h, 7d.")
    ] = "2h",
    conduct: Annotated[
        bool, typer.Option("--conduct", help="Allow to command sessions: breaks, interventions.")
    ] = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="Allow to change the titles of sessions and events.")
    ] = False,
) -> None:
    """Print a link with a token, for people without an account.

    The link opens the session or event that is named, and nothing else of the tenant; without
    --session and --event, all of it. It is read-only unless --conduct or --admin is given. Whoever
    has the link has this access until the token expires: it can't be revoked, except by another
    key.

    The token is signed with CONDUCTOR_JWT_SECRET. The link begins with CONDUCTOR_PUBLIC_URL, or
    with the dashboard's host and port. Other programs use what follows "token=", up to the next
    "&", as Authorization: Bearer.
    """
    grant = Grant(tenant, session or (), event or (), conduct, admin)
    for option, ids in (("--session", grant.sessions), ("--event", grant.events)):
        for each in ids:
            require_text(option, each)
    settings = configure(sys.stderr)
    expires_at_s = round(time.time()) + parse_expiry(expires)
    token = sign_token(settings.dashboard(), grant, expires_at_s)
    address = _address(settings)
    sys.stdout.write(f"{address}#token={token}{_route(grant)}\n")
    print_stderr(f"{_described(grant)}, until {to_iso(expires_at_s * 1000, 'seconds')}")
    if is_loopback(urlsplit(address).hostname or ""):
        print_stderr("It opens on this machine only. For others, set CONDUCTOR_PUBLIC_URL.")


def _address(settings: Settings) -> str:
    """Return the address of the page for people."""
    if settings.public_url is not None:
        return settings.public_url
    if settings.http_port == 0:
        raise ConfigError(
            "CONDUCTOR_HTTP_PORT=0: any port, so the address is not known; set CONDUCTOR_PUBLIC_URL"
            ", e.g. CONDUCTOR_PUBLIC_URL=https://engagement.example.com/"
        )
    path = settings.http_base_path.strip("/")
    return page_url(settings.http_host, settings.http_port) + (f"{path}/" if path else "")


def _route(grant: Grant) -> str:
    """Return what the page opens: one session, one event, or else the list of sessions."""
    match grant.sessions, grant.events:
        case [one], []:
            return f"&/session/{quote(one, UNRESERVED)}"
        case [], [one]:
            return f"&/event/{quote(one, UNRESERVED)}"
    return ""


def _described(grant: Grant) -> str:
    named = [*_named("session", grant.sessions), *_named("event", grant.events)]
    rights = [
        name
        for name, is_granted in (("conduct", grant.can_conduct), ("admin", grant.can_administer))
        if is_granted
    ]
    return (
        f"Tenant {grant.tenant}, {', '.join(named) or 'all sessions'}: "
        f"{' and '.join(rights) or 'read-only'}"
    )


def _named(kind: str, ids: Sequence[str]) -> list[str]:
    return [f"{kind} {printable(each)}" for each in ids]
