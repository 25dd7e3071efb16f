"""Log lines as a service writes them, and the model and the report made of them."""

from datetime import timedelta
from typing import Any

from conductor_actors.commands.inspect.report import Selection, ServiceReport, make_report
from conductor_actors.commands.inspect.service_model import ServiceModel
from conductor_actors.domain.identity import SessionKey
from tests.support.log_lines import NOON, make_line

EVERYTHING = Selection()


def line(event: str, at_s: float = 0, **keys: Any) -> bytes:
    return make_line(event, NOON + timedelta(seconds=at_s), **keys)


def of_session(event: str, name: str = "acme/keynote", at_s: float = 0, **keys: Any) -> bytes:
    tenant, session = SessionKey.parse(name)
    return line(event, at_s, actor="session", tenant=tenant, session=session, **keys)


def row(name: str = "acme/keynote", **figures: Any) -> dict[str, Any]:
    tenant, session = SessionKey.parse(name)
    return {
        "tenant": tenant,
        "session": session,
        "state": "running",
        "mailbox_depth": 0,
        "handled_per_s": 1.0,
        "busy_share": 0.01,
        "oldest_s": 0.0,
        "refused": 0,
    } | figures


def tenant_row(tenant: str, **figures: Any) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "sessions": 1,
        "quarantined": 0,
        "mailbox_depth": 0,
        "handled_per_s": 1.0,
        "busy_share": 0.01,
        "oldest_s": 0.0,
        "refused": 0,
    } | figures


def sessions(*rows: dict[str, Any], at_s: float = 0, count: int | None = None) -> bytes:
    count = len(rows) if count is None else count
    return line("session_stats", at_s, count=count, sessions=rows)


def tenants(*rows: dict[str, Any], at_s: float = 0) -> bytes:
    return line("tenant_stats", at_s, count=len(rows), tenants=rows)


def service(at_s: float, uptime_s: float, cpu_s: float = 0.0) -> bytes:
    keys = {"version": "1.2.3", "vocabulary": 1, "uptime_s": uptime_s, "cpu_s": cpu_s}
    return line("service_stats", at_s, **keys)


def actor(kind: str, at_s: float = 0, **figures: Any) -> bytes:
    keys = {"count": 1, "mailbox_depth": 0, "handled": 0, "oldest_s": 0.0, "failures": 0}
    return line("actor_stats", at_s, kind=kind, **(keys | figures))


def model_of(*lines: bytes, followed: SessionKey | None = None) -> ServiceModel:
    model = ServiceModel(followed)
    for each in lines:
        model.add(each)
    return model


def report_of(
    *lines: bytes,
    after_s: float = 0,
    selection: Selection = EVERYTHING,
    followed: SessionKey | None = None,
) -> ServiceReport:
    model = model_of(*lines, followed=followed)
    return make_report(model, NOON + timedelta(seconds=after_s), selection)
