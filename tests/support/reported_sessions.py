"""Sessions with rows of which reports are made, and their figures by the plainest computation."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from math import log
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row

from conductor_actors.domain.scoring import category
from conductor_actors.instants import from_iso, to_datetime, to_ms

TICK_MS: Final = 5_000
WINDOW_MS: Final = 60_000
MINUTE_MS: Final = 60_000
BEGIN_MS: Final = 1_767_528_000_000

Numbers = Mapping[str, Any]


class RowSample(NamedTuple):
    """The numbers of a row."""

    at_ms: int
    score: float
    chat: float = 0.0
    poll: float = 0.0
    active: int = 0
    total: int = 0
    reactions: float = 0.0
    leaves: float = 0.0
    event_id: str = "event"


class SessionSample(NamedTuple):
    """A session and its rows, in the order of time. Its event may differ from that of its rows."""

    session_id: str
    rows: Sequence[RowSample]
    is_live: bool = False
    event_id: str = "event"


def store_reported(url: str, tenant: str, sessions: Iterable[SessionSample]) -> None:
    """Store sessions as the collector does."""
    with psycopg.connect(url) as connection:
        for one in sessions:
            connection.cursor().executemany(
                "INSERT INTO engagement_metrics VALUES"
                " (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    (
                        *(to_datetime(row.at_ms), tenant, one.session_id, row.event_id),
                        *(row.score, category(row.score), row.chat, row.poll),
                        *(row.active, row.total, row.reactions, row.leaves),
                    )
                    for row in one.rows
                ],
            )
            first, last = one.rows[0].at_ms, one.rows[-1].at_ms
            connection.execute(
                "INSERT INTO sessions (tenant_id, session_id, event_id, started_at, ended_at)"
                " VALUES (%s, %s, %s, %s, %s)",
                (
                    *(tenant, one.session_id, one.event_id, to_datetime(first)),
                    None if one.is_live else to_datetime(last),
                ),
            )


def stored_rows(url: str, tenant: str) -> dict[str, list[Numbers]]:
    """Return all rows of a tenant, by session, in the order of time."""
    found: defaultdict[str, list[Numbers]] = defaultdict(list)
    with psycopg.connect(url) as connection, connection.cursor(row_factory=dict_row) as cursor:
        for row in cursor.execute(
            "SELECT * FROM engagement_metrics WHERE tenant_id = %s ORDER BY time", (tenant,)
        ):
            found[row["session_id"]].append(row | {"at_ms": to_ms(row["time"])})
    return dict(found)


def expected_figures(rows: Mapping[str, Sequence[Numbers]]) -> dict[str, Any]:
    """Return the figures of a report of these sessions."""
    every = [row for of_session in rows.values() for row in of_session]
    scores, users = _at_ticks(every)
    peak = max(scores.values())
    counts = Counter(row["category"] for row in every)
    first_ms, last_ms = min(scores), max(scores)
    return {
        "durationS": (last_ms - first_ms) / 1000,
        "ticks": len(every),
        "meanScore": sum(scores.values()) / len(scores),
        "peakScore": peak,
        "peakUsers": max(users.values()),
        "categories": {
            name: 5 * counts[name] for name in ("VERY_HIGH", "HIGH", "MODERATE", "LOW", "VERY_LOW")
        },
        "messages": _in_windows_apart(rows, "chat_msgs_per_min"),
        "reactions": _in_windows_apart(rows, "reactions_per_min"),
        "polls": _polls(rows),
        "moments": {"rises": _moments(rows, 1), "falls": _moments(rows, -1)},
        "means": _mean_contributions(every),
    }


def expected_others(rows: Mapping[str, Sequence[Numbers]]) -> dict[str, float] | None:
    """Return the mean of the mean contributions to several sessions."""
    means = [_mean_contributions(of_session) for of_session in rows.values()]
    return {name: _mean([each[name] for each in means]) for name in means[0]} if means else None


def expected_curve(rows: Mapping[str, Sequence[Numbers]], step_ms: int) -> list[dict[str, Any]]:
    """Return the points of a curve with this step."""
    scores, users = _at_ticks([row for of_session in rows.values() for row in of_session])
    steps = defaultdict(list)
    for at_ms in sorted(scores):
        steps[at_ms // step_ms * step_ms].append(at_ms)
    return [
        {
            "at_ms": at_ms,
            "score": _mean([scores[each] for each in ticks]),
            "min": min(scores[each] for each in ticks),
            "max": max(scores[each] for each in ticks),
            "totalUsers": max(users[each] for each in ticks),
        }
        for at_ms, ticks in steps.items()
    ]


def ms_of(text: str) -> int:
    """Return a timestamp in milliseconds since 1970."""
    return to_ms(from_iso(text))


def _at_ticks(every: Iterable[Numbers]) -> tuple[dict[int, float], dict[int, int]]:
    """Return the score, weighted by users, and the users of all sessions at each tick."""
    at_ticks = defaultdict(list)
    for row in every:
        at_ticks[row["at_ms"]].append((row["engagement_score"], row["total_users"]))
    scores, users = {}, {}
    for at_ms, each in at_ticks.items():
        users[at_ms] = sum(people for _, people in each)
        weights = [people if users[at_ms] else 1 for _, people in each]
        weighted = sum(score * weight for (score, _), weight in zip(each, weights, strict=True))
        scores[at_ms] = each[0][0] if len(each) == 1 else weighted / sum(weights)
    return scores, users


def _in_windows_apart(rows: Mapping[str, Sequence[Numbers]], rate: str) -> int:
    total = 0.0
    for of_session in rows.values():
        by_time = {row["at_ms"]: row[rate] for row in of_session}
        at_ms = max(by_time)
        while at_ms >= min(by_time):
            total += by_time.get(at_ms, 0)
            at_ms -= WINDOW_MS
    return round(total)


def _polls(rows: Mapping[str, Sequence[Numbers]]) -> list[tuple[str, int, float]]:
    found = []
    for session_id, of_session in rows.items():
        by_time = {row["at_ms"]: row["poll_participation"] for row in of_session}
        for at_ms in sorted(by_time):
            if not by_time[at_ms] or by_time.get(at_ms - TICK_MS):
                continue
            ends_ms = next(each for each in count(at_ms, TICK_MS) if not by_time.get(each))
            run = {each: by_time[each] for each in range(at_ms, ends_ms, TICK_MS)}
            peak = max(run.values())
            found.append((session_id, min(at for at in run if run[at] == peak), peak))
    return sorted(found, key=lambda poll: (poll[1], poll[0]))


def _moments(
    rows: Mapping[str, Sequence[Numbers]], sign: int
) -> list[tuple[str, int, float, float]]:
    left = []
    for session_id, of_session in rows.items():
        by_time = {row["at_ms"]: row["engagement_score"] for row in of_session}
        for at_ms, after in by_time.items():
            before = by_time.get(at_ms - MINUTE_MS, after)
            if (after - before) * sign > 0:
                left.append((session_id, at_ms, before, after))
    chosen: list[tuple[str, int, float, float]] = []
    while left and len(chosen) < 5:
        best = min(left, key=lambda one: (-abs(one[3] - one[2]), one[1], one[0]))
        chosen.append(best)
        left = [one for one in left if one[0] != best[0] or abs(one[1] - best[1]) > MINUTE_MS]
    return chosen


def _mean_contributions(rows: Sequence[Numbers]) -> dict[str, float]:
    added = [
        {
            "chat": 0.30 * min(1, log(row["chat_msgs_per_min"] + 1) / log(21)),
            "poll": 0.25 * row["poll_participation"],
            "activeUsers": 0.25 * row["active_users"] / (row["total_users"] or 1)
            if row["total_users"]
            else 0.0,
            "reactions": 0.10 * min(1, log(row["reactions_per_min"] + 1) / log(11)),
            "leaveRate": -0.10 * row["user_leave_rate"],
        }
        for row in rows
    ]
    return {name: _mean([each[name] for each in added]) for name in added[0]}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
