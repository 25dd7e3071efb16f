"""The conductor's part of the fake service: its decisions, their answers, modes and effects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from conductor_actors.domain.conductor.templates import DEFAULT_TEMPLATES, PLACEHOLDERS
from tests.dashboard.sample_bodies import Body

TEMPLATES: Final[Body] = {str(kind): content for kind, content in DEFAULT_TEMPLATES.items()}
Endpoint = Callable[[Request, bytes], Response]
_ANSWERS: Final = {"approve": "APPROVED", "reject": "DISMISSED"}


@dataclass
class FakeConductor:
    """Has the HTTP interface of the conductor; tests script its data, and read what was requested.

    `refusal` is the status, code and message with which it refuses every change.
    """

    decisions: list[Body] = field(default_factory=list)  # as they are now, the oldest first
    effects: list[Body] = field(default_factory=list)
    answers: list[tuple[str, str, Body]] = field(default_factory=list)
    modes: list[tuple[str, str, str | None]] = field(default_factory=list)
    manual: list[Body] = field(default_factory=list)
    replaced: Body = field(default_factory=dict)  # the texts that replace a default
    refusal: tuple[int, str, str] | None = None
    is_enabled: bool = True
    default_mode: str = "SEMI_AUTO"

    def change(self, body: Body) -> None:
        """Store a decision as it is now."""
        self.decisions = [one for one in self.decisions if one["id"] != body["id"]] + [body]

    def open_of(self, sessions: set[str]) -> list[Body]:
        """Return the open decisions of some sessions."""
        return [one for one in self._open() if one["session_id"] in sessions]

    def of_session(self, session: str) -> list[Body]:
        """Return the decisions of a session."""
        return [one for one in self.decisions if one["session_id"] == session]

    def endpoints(self) -> Iterable[tuple[str, str, Endpoint]]:
        """Return method, path and endpoint of each request."""
        decision = "agent/sessions/{id:path}/decisions/{decision}"
        for answer in _ANSWERS:
            yield "POST", f"{decision}/{answer}", self._answer
        for kind in ("sessions", "events"):
            yield "PUT", f"agent/{kind}/{{id:path}}/mode", self._set_mode
        yield "GET", "agent/decisions", self._recent
        yield "GET", "interventions/history/event/{id:path}", self._of_event
        yield "GET", "interventions/history/{id:path}", self._history
        yield "POST", "interventions/manual", self._start
        yield "GET", "agent/templates", lambda *_: self._templates()
        yield "PUT", "agent/templates", self._replace_templates
        yield "GET", "effects", lambda *_: JSONResponse({"effects": self.effects})

    def _open(self) -> list[Body]:
        return [one for one in self.decisions if one["status"] == "SUGGESTED"]

    def _recent(self, _: Request, __: bytes) -> Response:
        head = {"enabled": self.is_enabled, "default_mode": self.default_mode}
        return JSONResponse(head | {"decisions": self.decisions})

    def _history(self, request: Request, _: bytes) -> Response:
        return JSONResponse(self.of_session(request.path_params["id"])[::-1])

    def _of_event(self, request: Request, _: bytes) -> Response:
        event = request.path_params["id"]
        return JSONResponse([one for one in self.decisions if one["event_id"] == event][::-1])

    def _answer(self, request: Request, body: bytes) -> Response:
        if self.refusal is not None:
            return refusal(*self.refusal)
        decision, answer = request.path_params["decision"], request.url.path.rsplit("/", 1)[-1]
        self.answers.append((decision, answer, msgspec.json.decode(body or b"{}")))
        session = request.path_params["id"]
        return JSONResponse({"id": decision, "session_id": session, "status": _ANSWERS[answer]})

    def _set_mode(self, request: Request, body: bytes) -> Response:
        if self.refusal is not None:
            return refusal(*self.refusal)
        kind, mode = request.url.path.split("/")[4], msgspec.json.decode(body)["mode"]
        self.modes.append((kind, request.path_params["id"], mode))
        return JSONResponse({"mode": mode})

    def _templates(self) -> Response:
        body = {"templates": TEMPLATES | self.replaced, "replaced": list(self.replaced)}
        return JSONResponse(body | {"defaults": TEMPLATES, "placeholders": list(PLACEHOLDERS)})

    def _replace_templates(self, _: Request, body: bytes) -> Response:
        if self.refusal is not None:
            return refusal(*self.refusal)
        self.replaced = msgspec.json.decode(body)["templates"]
        return self._templates()

    def _start(self, _: Request, body: bytes) -> Response:
        if self.refusal is not None:
            return refusal(*self.refusal)
        self.manual.append(msgspec.json.decode(body))
        session = self.manual[-1]["session_id"]
        return JSONResponse({"id": "manual-1", "session_id": session, "status": "accepted"}, 202)


def refusal(status: int, code: str, message: str) -> Response:
    """Return a refusal as the service sends it."""
    return JSONResponse({"error": {"code": code, "message": message}}, status)
