"""The HTTP API of interventions: those of a session or event, what they changed, and their texts.

A caller reads those of the sessions that its token gives access to. Who starts an action, or
replaces a text, needs the claim `conduct`.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from conductor_actors.dashboard.access.auth import Denied
from conductor_actors.dashboard.agent_bodies import (
    EffectReport,
    InterventionStats,
    ManualAccepted,
    ManualRequest,
    Templates,
    TemplatesRequest,
    TypeEffect,
)
from conductor_actors.dashboard.client_metrics import DashboardMetrics
from conductor_actors.dashboard.http.agent_query import parse_effects, parse_event, parse_session
from conductor_actors.dashboard.http.agent_requests import (
    MAX_TEMPLATES_BYTES,
    action_type,
    check_event_id,
    check_text,
    checked_content,
    final_content,
    read_request,
)
from conductor_actors.dashboard.http.agent_sources import AgentSources
from conductor_actors.dashboard.http.callers import Callers
from conductor_actors.dashboard.http.responder import Responder
from conductor_actors.dashboard.scores.decision_records import stored_decision
from conductor_actors.domain.commands import MANUAL, TEMPLATES, encode_manual, encode_templates
from conductor_actors.domain.conductor.effects import Effect, Trial, effects_of
from conductor_actors.domain.conductor.interventions import ACTIONS, ActionType
from conductor_actors.domain.conductor.templates import (
    DEFAULT_TEMPLATES,
    PLACEHOLDERS,
    check_content,
)
from conductor_actors.domain.identity import SessionKey
from conductor_actors.ports.conductor_port import InterventionCount, InterventionPage, StoredTrial
from conductor_actors.wire.updates import timestamp

MAX_TRIALS: Final = 20_000  # the newest ones

_MANUAL_SHAPE: Final = (
    '{"session_id", "event_id", "intervention_type": one of '
    f'{", ".join(ACTIONS)}, "reason": text, "context": {{"content": …}} or null}}'
)
_TEMPLATES_SHAPE: Final = '{"templates": {"POLL": content, …}}'


class InterventionRoutes:
    """One handler for each path; each authenticates its caller first."""

    def __init__(self, sources: AgentSources, callers: Callers, metrics: DashboardMetrics) -> None:
        self._sources = sources
        self._callers = callers
        self._responder = Responder(metrics)
        self._estimating = asyncio.Lock()

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        base = "/api/v1/interventions"
        return [
            Route(f"{base}/manual", self.manual, methods=["POST"]),
            Route(f"{base}/history/event/{{event:any}}", self.event_history),
            Route(f"{base}/history/{{session:any}}", self.session_history),
            Route(f"{base}/", self.session_history),
            Route(f"{base}/stats/{{session:any}}", self.stats),
            Route("/api/v1/effects", self.effects),
            Route("/api/v1/agent/templates", self.templates),
            Route("/api/v1/agent/templates", self.replace_templates, methods=["PUT"]),
        ]

    async def manual(self, request: Request) -> Response:
        """Start an action in a session. Its limits hold: its record says whether it was sent."""
        caller = await self._callers.conductor(request)
        wanted = await read_request(request, ManualRequest, _MANUAL_SHAPE)
        key = await self._callers.check_access(caller, wanted.session_id)
        check_text(wanted.reason, "reason")
        if wanted.event_id is not None:
            check_event_id(wanted.event_id)
        content = (wanted.context or {}).get("content")
        if content is not None:
            content = final_content(wanted.intervention_type, content)
        await self._check_can_act(key)
        identity = str(uuid4())
        command = encode_manual(
            key.session_id, identity, wanted.intervention_type, wanted.reason, content
        )
        await self._sources.commands.give(key, MANUAL, command)
        return self._responder.json(ManualAccepted(identity, key.session_id), 202)

    async def session_history(self, request: Request) -> Response:
        """Return a page of a session's interventions, newest first.

        Most clients resolve the ids `.` and `..` in a path: they request `…/history/` and `…/`.
        """
        caller = await self._callers.caller(request)
        session_id: str = request.path_params.get("session", "..") or "."
        key = await self._callers.check_access(caller, session_id)
        page = parse_session(request.query_params)
        found = await self._sources.stored.of_session(key, page)
        return self._responder.json([stored_decision(one) for one in found])

    async def event_history(self, request: Request) -> Response:
        """Return an event's interventions of the last hours, newest first."""
        if b"/history/event/" not in request.scope.get("raw_path", b"/history/event/"):
            request.path_params["session"] = f"event/{request.path_params['event']}"
            return await self.session_history(request)  # its id begins with `event/`
        caller = await self._callers.caller(request)
        event_id: str = request.path_params["event"]
        check_event_id(event_id)
        hours, limit = parse_event(request.query_params)
        since_ms = round((self._sources.wall_clock() - hours * 3600) * 1000)
        session_ids = await self._callers.access.visible(caller)
        found = await self._sources.stored.of_event(
            *(caller.tenant, event_id, since_ms),
            *(InterventionPage(limit), session_ids),
        )
        return self._responder.json([stored_decision(one) for one in found])

    async def stats(self, request: Request) -> Response:
        """Return the numbers of a session's interventions."""
        caller = await self._callers.caller(request)
        session_id: str = request.path_params["session"]
        key = await self._callers.check_access(caller, session_id)
        counts = await self._sources.stored.counts(key)
        return self._responder.json(_stats(session_id, counts))

    async def effects(self, request: Request) -> Response:
        """Return what each type of action changed, against doing nothing."""
        caller = await self._callers.caller(request)
        days = parse_effects(request.query_params)
        since_ms = round((self._sources.wall_clock() - days * 86_400) * 1000)
        session_ids = await self._callers.access.visible(caller)
        stored = await self._sources.stored.trials(caller.tenant, since_ms, MAX_TRIALS, session_ids)
        trials = [_trial(one) for one in stored]
        async with self._estimating:  # other requests are answered meanwhile
            effects = await asyncio.to_thread(effects_of, trials)
        found = [_type_effect(one) for one in effects]
        return self._responder.json(EffectReport(timestamp(since_ms), len(trials), found))

    async def templates(self, request: Request) -> Response:
        """Return what the actions say."""
        caller = await self._callers.caller(request)
        stored = await self._sources.commands.templates(caller.tenant)
        return self._responder.json(_templates(_replaced(stored)))

    async def replace_templates(self, request: Request) -> Response:
        """Replace what the actions say, from the next tick on; other types have defaults again."""
        caller = await self._callers.conductor(request)
        if not caller.sees_all:
            raise Denied(403, "other_session", "your token is for some sessions, not for all")
        body = await read_request(request, TemplatesRequest, _TEMPLATES_SHAPE, MAX_TEMPLATES_BYTES)
        replaced = {
            action_type(kind): checked_content(kind, content)
            for kind, content in body.templates.items()
        }
        self._sources.require_conductor()
        await self._sources.commands.replace_templates(
            *(caller.tenant, TEMPLATES, msgspec.json.encode(replaced), encode_templates(replaced))
        )
        return self._responder.json(_templates(replaced))

    async def _check_can_act(self, key: SessionKey) -> None:
        self._sources.require_conductor()
        await self._sources.settle(key)
        if self._sources.live.sessions.get(key) is None:
            raise Denied(404, "unknown_session", "the session is not live")
        if self._sources.live.decisions.state(key).mode == "OFF":
            raise Denied(409, "mode_off", "the mode of the session is OFF")


def _stats(session_id: str, counts: Sequence[InterventionCount]) -> InterventionStats:
    by_type: dict[str, int] = {}
    by_status: dict[str, int] = {}
    rewards = []
    for one in counts:
        by_type[one.type] = by_type.get(one.type, 0) + one.total
        by_status[one.status] = by_status.get(one.status, 0) + one.total
        if one.mean_reward is not None:
            rewards.append((one.mean_reward, one.measured))
    measured = sum(one.measured for one in counts)
    successful = sum(one.successful for one in counts)
    weights = sum(weight for _, weight in rewards)
    total_reward = sum(mean * weight for mean, weight in rewards)
    return InterventionStats(
        session_id=session_id,
        total_interventions=sum(by_type.values()),
        by_type=by_type,
        by_status=by_status,
        measured=measured,
        successful=successful,
        success_rate=successful / measured if measured else None,
        mean_reward=total_reward / weights if weights else None,
    )


def _trial(stored: StoredTrial) -> Trial:
    return Trial(
        stored.type,  # type: ignore[arg-type] # another type is in no arm
        stored.origin,  # type: ignore[arg-type] # the same
        stored.anomaly_type,  # type: ignore[arg-type] # the same
        stored.before,
        stored.after,
        stored.probabilities,  # type: ignore[arg-type] # the same
    )


def _type_effect(effect: Effect) -> TypeEffect:
    values = msgspec.structs.asdict(effect)
    missing = values.pop("needed")
    return TypeEffect(**values, missing=missing)


def _replaced(stored: bytes | None) -> dict[Any, Any]:
    """Return the stored templates that can be used; another program may have stored others."""
    try:
        found = msgspec.json.decode(stored or b"{}", type=dict[str, Any])
    except (ValueError, RecursionError):
        return {}
    usable = {}
    for kind in ACTIONS:
        if kind in found:
            try:
                usable[kind] = check_content(kind, found[kind])
            except ValueError:
                continue
    return usable


def _templates(replaced: dict[Any, Any]) -> Templates:
    defaults: dict[ActionType, dict[str, Any]] = {
        kind: dict(content) for kind, content in DEFAULT_TEMPLATES.items()
    }
    return Templates(defaults | replaced, list(replaced), defaults, PLACEHOLDERS)
