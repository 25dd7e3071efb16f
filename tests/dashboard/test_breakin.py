"""Random requests for another tenant's session, by token, path, query and subscription."""

import base64
import itertools
import json
import os
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import quote

import httpx
import jwt
from msgspec.structs import replace

from conductor_actors.dashboard.server import Dashboard
from conductor_actors.domain.conductor.interventions import AgentState
from tests.dashboard.agents import suggestion
from tests.dashboard.clients import SECRET, token
from tests.dashboard.conftest import Serve, this_tick_ms
from tests.dashboard.raw import RawWebSocket
from tests.support.score_rows import row

TRIES = int(os.environ.get("CONDUCTOR_TEST_TRIES", "200"))
ON_ONE_LINE = 4
VICTIM, PREY = "victim", "prey-session"
BETRAYED = re.compile(rb'"tenantId":"victim"|betrayed-event')

Write = Callable[..., None]


def test_no_request_reaches_another_tenants_session(
    serve: Serve, store: Write, publish: Write
) -> None:
    dashboard = serve(jwt_secret=SECRET, clients_per_address=100_000)
    one = replace(suggestion(), event_id="betrayed-event")
    prey = row(
        PREY,
        this_tick_ms(1),
        tenant_id=VICTIM,
        event_id="betrayed-event",
        interventions=(one,),
        agent=AgentState("AUTO", "WAITING_APPROVAL", one.id),
    )
    store(prey)
    publish(prey)
    _assert_that_its_own_tenant_reaches_it(dashboard)
    dice = random.Random(0)
    with httpx.Client(base_url=dashboard.address, timeout=30) as client:
        for number in range(TRIES // 2):
            assert not BETRAYED.search(_ask(client, dice)), number
    for number in range(TRIES // 2 // ON_ONE_LINE):
        assert not BETRAYED.search(_talk(dashboard, dice, publish)), number


def _assert_that_its_own_tenant_reaches_it(dashboard: Dashboard) -> None:
    headers = {"Authorization": f"Bearer {token(VICTIM)}"}
    address = f"{dashboard.address}api/v1/sessions"
    history = f"{dashboard.address}api/v1/interventions/history/{PREY}"
    assert BETRAYED.search(httpx.get(history, headers=headers).content)
    for path in (f"/{PREY}/history", f"/{PREY}/explanation"):
        assert httpx.get(address + path, headers=headers).status_code == 200
    while not BETRAYED.search(httpx.get(address, headers=headers).content):
        pass


def _ask(client: httpx.Client, dice: random.Random) -> bytes:
    path = dice.choice(_PATHS)(dice.choice(_NAMES))
    headers = {dice.choice(("Authorization", "authorization", "X-Authorization")): _bearer(dice)}
    if dice.random() < 0.3:
        headers[dice.choice(("X-Tenant", "X-Forwarded-For", "X-Original-URL"))] = VICTIM
    with suppress(httpx.InvalidURL):
        answer = client.get(path, headers=headers)
        assert answer.status_code < 500, path
        return answer.content
    return b""


def _talk(dashboard: Dashboard, dice: random.Random, publish: Write) -> bytes:
    """Send several messages on one connection, and return everything received."""
    with RawWebSocket(dashboard.address) as client:
        for _ in range(ON_ONE_LINE):
            namespace = dice.choice(
                ("/events,", "/events,", "", "/admin,", "/events?tenant=victim,")
            )
            shown = json.dumps({"token": _token(dice), "tenant": VICTIM})
            with suppress(ConnectionError):
                client.send_text(f"40{namespace}{shown}"[:4000])
                client.send_text(f"42{namespace}{json.dumps(_event(dice))}")
        client.is_closed(0.05)
        publish(row(PREY, this_tick_ms(-next(_TICKS)), tenant_id=VICTIM, event_id="betrayed-event"))
        client.is_closed(0.05)
        return client.received


def _event(dice: random.Random) -> list[object]:
    subscribe = "subscribe:engagement"
    name = dice.choice((subscribe, subscribe, "subscribe:sessions", "agent:subscribe", "*"))
    session = dice.choice((PREY, PREY, *_NAMES))
    body: object = dice.choice(
        (
            {"sessionId": session},
            {"sessionId": PREY},
            {"sessionId": session, "tenantId": VICTIM, "tenant": VICTIM},
            {"sessionId": [session]},
            {"sessionId": {"tenant": VICTIM, "session": session}},
            {"__proto__": {"tenant": VICTIM}, "sessionId": session},
            [VICTIM, session],
            session,
            None,
        )
    )
    return [name, body, {"tenant": VICTIM}]


def _bearer(dice: random.Random) -> str:
    scheme = dice.choice(("Bearer", "bearer", "Basic", "Token", ""))
    return f"{scheme} {_token(dice) or ''}".strip()


def _token(dice: random.Random) -> str | None:
    good = token("acme", claims={"sessions": [PREY]} if dice.random() < 0.3 else {})
    head, body, signature = good.split(".")
    theirs = {"tenant": VICTIM, "exp": time.time() + 60}
    kind = dice.randrange(11)
    return (
        None,
        *(good, good, good),
        token(VICTIM, expires_in_s=-3600),
        token(VICTIM, key="a guess of 32 bytes, or even more"),
        f"{head}.{_part(theirs)}.{signature}",
        f"{_part({'alg': dice.choice(('none', 'None', 'nOnE', ''))})}.{_part(theirs)}.",
        jwt.encode(theirs, "", algorithm="none"),
        f"{head}.{body}.{signature[:-2]}",
        token(dice.choice(("victim\n", "victim:", "*", "", "acme:victim", "VICTIM"))),
    )[kind]


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


_TICKS = itertools.count()
_NAMES = (
    *(PREY, f"{VICTIM}:{PREY}", f"{VICTIM}/{PREY}", f"../{VICTIM}/{PREY}", f"{PREY}\0", "*", "%"),
    *(f"{PREY}' OR tenant_id='{VICTIM}", "x') OR ('1'='1", f"{PREY}?tenant={VICTIM}", f" {PREY}"),
)
_PATHS: tuple[Callable[[str], str], ...] = (
    lambda name: f"/api/v1/sessions/{quote(name, safe='')}/history",
    lambda name: f"/api/v1/sessions/{quote(name)}/explanation",
    lambda name: f"/api/v1/sessions/{quote(name)}/history?tenant={VICTIM}",
    lambda name: f"/api/v1/sessions/{quote(name)}/explanation?tenant=acme&tenant={VICTIM}",
    lambda name: f"/api/v1/histories?session={quote(name)}",
    lambda name: f"/api/v1/histories?session=x&session={quote(name)}&tenant={VICTIM}",
    lambda name: f"/api/v1/histories?tenant=acme&session={quote(name)}&tenant={VICTIM}",
    lambda name: f"/api/v1/agent/sessions/{quote(name)}/status?tenant={VICTIM}",
    lambda name: f"/api/v1/interventions/history/{quote(name)}?tenant={VICTIM}",
    lambda name: f"/api/v1/interventions/history/event/{quote(name)}",
    lambda name: f"/api/v1/interventions/history/{quote(name, safe='')}",
    lambda _: f"/api/v1/agent/decisions?tenant=acme&tenant={VICTIM}",
    lambda _: f"/api/v1/effects?tenant={VICTIM}",
    lambda _: f"/api/v1/sessions?tenant={VICTIM}",
    lambda _: "/api/v1/sessions",
    lambda name: f"/api/v1//sessions/{quote(name)}/history",
    lambda name: f"/api/v1/sessions/x/../{quote(name)}/explanation",
    lambda name: f"/static/..%2f..%2fapi/v1/sessions/{quote(name)}/explanation",
    lambda name: f"/socket.io/../api/v1/sessions/{quote(name)}/explanation",
    lambda name: f"/api/v1/sessions/{quote(name)}/history?step=1m&from=2020-01-01T00:00:00Z",
    lambda _: f"/socket.io/?EIO=4&transport=polling&sessionId={PREY}&tenant={VICTIM}",
)
