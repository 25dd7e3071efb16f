"""Build the body of a report from what was read for it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from conductor_actors.adapters.postgres.history.report_figures import (
    PollRun,
    ReportFigures,
    SessionSums,
    peak_of,
)
from conductor_actors.adapters.postgres.history.report_query import ReportedRows
from conductor_actors.adapters.postgres.query_pool import Records
from conductor_actors.domain.charts.chart_steps import iso_step
from conductor_actors.domain.scoring import Contributions, clamped
from conductor_actors.instants import to_ms
from conductor_actors.ports.history_port import StoredSession, changes_body, session_summary
from conductor_actors.ports.report_port import ReportRules
from conductor_actors.wire.history_bodies import SessionSummary
from conductor_actors.wire.report_bodies import (
    Report,
    ReportedAnomaly,
    ReportedContribution,
    ReportedContributions,
    ReportedEvent,
    ReportedIntervention,
    ReportedPoint,
    ReportedPoll,
)
from conductor_actors.wire.updates import INVALID_BODY, canonical_timestamp, timestamp

CATEGORY_NAMES: Final = ("VERY_HIGH", "HIGH", "MODERATE", "LOW", "VERY_LOW")


class ReportSources(NamedTuple):
    """What was read for a report. `others` is None if there are no other sessions."""

    sessions: Sequence[StoredSession]
    rows: ReportedRows
    figures: ReportFigures
    anomalies: Records
    interventions: Records
    others: Contributions | None = None


def build_session_report(sources: ReportSources, rules: ReportRules) -> Report:
    """Return the report of one session."""
    (session,) = sources.sessions
    summary = _summary(session, sources.figures.sessions[session.key.session_id])
    return _build(sources, rules, kind="session", session=summary)


def build_event_report(sources: ReportSources, rules: ReportRules) -> Report:
    """Return the report of an event; sessions without a row do not count."""
    figures = sources.figures.sessions
    found = [each for each in sources.sessions if each.key.session_id in figures]
    first = found[0]
    return _build(
        sources,
        rules,
        kind="event",
        event=ReportedEvent(first.event_id, first.key.tenant_id, first.event_title, len(found)),
        sessions=[_summary(each, figures[each.key.session_id]) for each in found],
    )


def _build(sources: ReportSources, rules: ReportRules, **about: Any) -> Report:  # noqa: ANN401
    rows, figures = sources.rows, sources.figures
    peak_score, peak_ms = figures.peak
    is_live = any(each.state == "live" for each in sources.sessions)
    numbers = [*figures.sessions.values()]
    return Report(
        **about,
        state="live" if is_live else "ended",
        started_at=timestamp(rows.first_ms),
        ended_at=None if is_live else timestamp(rows.last_ms),
        duration_s=(rows.last_ms - rows.first_ms) / 1000,
        ticks=figures.ticks,
        mean_score=clamped(figures.mean_score),
        peak_score=peak_score,
        peak_at=timestamp(peak_ms),
        categories={name: figures.categories[name] * rules.tick_s for name in CATEGORY_NAMES},
        peak_users=figures.users,
        messages=_in_windows((each.chat_per_min for each in numbers), rules),
        reactions=_in_windows((each.reactions_per_min for each in numbers), rules),
        polls=[*map(_poll, figures.polls(rules.tick_s))],
        anomalies=[*_anomalies(sources.anomalies)],
        interventions=[*_interventions(sources.interventions)],
        step=iso_step(rows.step_s(rules.tick_s)),
        curve=[*_curve(figures)],
        moments=changes_body(figures.moments()),
        contributions=_contributions(figures.contributions(), sources.others),
    )


def _summary(session: StoredSession, figures: SessionSums) -> SessionSummary:
    peak_score, peak_ms = peak_of(figures.peak)
    return replace(
        session_summary(session),
        mean_score=clamped(figures.mean_score),
        peak_score=peak_score,
        peak_at=timestamp(peak_ms),
        peak_users=figures.users,
    )


def _in_windows(rates_per_min: Iterable[float], rules: ReportRules) -> int:
    """Return how many there were in windows with these rates, one window apart."""
    return round(sum(rates_per_min) * rules.window_s / 60)


def _poll(run: PollRun) -> ReportedPoll:
    return ReportedPoll(run.session_id, timestamp(run.at_ms), run.participation)


def _curve(figures: ReportFigures) -> Iterator[ReportedPoint]:
    for at_ms, step in sorted(figures.curve.items()):
        yield ReportedPoint(
            timestamp(at_ms),
            clamped(step.mean_score),
            step.min_score,
            step.max_score,
            step.users,
        )


def _anomalies(records: Records) -> Iterator[ReportedAnomaly]:
    for id_, at, session_id, kind, severity, ended_at, reason in records:
        yield ReportedAnomaly(
            str(id_), session_id, kind, severity, timestamp(to_ms(at)), _instant(ended_at), reason
        )


def _instant(text: str | None) -> str | None:
    """Return a stored instant; None for what another program stored instead."""
    with suppress(*INVALID_BODY):
        return None if text is None else canonical_timestamp(text)
    return None


def _interventions(records: Records) -> Iterator[ReportedIntervention]:
    for id_, at, session_id, kind, status, sent_at, outcome in records:
        measured = outcome if isinstance(outcome, Mapping) else None
        yield ReportedIntervention(
            *(str(id_), session_id, kind, status, timestamp(to_ms(at))),
            *(_instant(sent_at), measured),
        )


def _contributions(own: Contributions, others: Contributions | None) -> ReportedContributions:
    def compared(name: str) -> ReportedContribution:
        mean: float = getattr(own, name)
        if others is None:
            return ReportedContribution(mean, None, None)
        other: float = getattr(others, name)
        return ReportedContribution(mean, other, mean - other)

    return ReportedContributions(*map(compared, Contributions.__struct_fields__))
