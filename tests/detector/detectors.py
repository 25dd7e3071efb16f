"""The detectors that are compared: the product's, and two that know the truth or nothing."""

from collections.abc import Callable, Sequence
from time import process_time
from typing import Final, NamedTuple, get_args

from conductor_actors.domain.anomalies.changes import AnomalyBegan, AnomalyType
from conductor_actors.domain.anomalies.parameters import Parameters
from conductor_actors.domain.intake_state import IntakeRules
from conductor_actors.domain.replayer import Replayer, Rules
from conductor_actors.domain.scoring import ScoreRow, Scoring
from conductor_actors.domain.session_rules import SessionRules
from tests.detector.corpus.labels import LabelledSession
from tests.detector.judge import Alarm

TICK_MS: Final = 5000
RULES: Final = Rules(IntakeRules(), SessionRules(), Scoring())
UNWATCHED: Final = RULES._replace(
    session=SessionRules(anomalies=Parameters(types_off=get_args(AnomalyType)))
)


class Replayed(NamedTuple):
    """What a detector may see of a session. `events` counts its activity since the last row."""

    session: LabelledSession
    rows: Sequence[ScoreRow]
    events: Sequence[int]


Detector = Callable[[Replayed], list[Alarm]]


def replayed(session: LabelledSession, rules: Rules = RULES) -> Replayed:
    """Score a session as the service does."""
    rows: list[ScoreRow] = []
    Replayer(rules, rows.extend).run(session.entries)
    times, begin, events = session.activity_ms, 0, []
    for row in rows:
        end = begin
        while end < len(times) and times[end] < row.at_ms:
            end += 1
        events.append(end - begin)
        begin = end
    return Replayed(session, rows, events)


def cost_s(session: LabelledSession) -> float:
    """Return the CPU time that the service's detector takes for a session."""
    took_s = []
    for rules in (RULES, UNWATCHED):
        began_s = process_time()
        Replayer(rules, lambda _: None).run(session.entries)
        took_s.append(process_time() - began_s)
    return took_s[0] - took_s[1]


def product(seen: Replayed) -> list[Alarm]:
    """Return what the rows report."""
    return [
        Alarm(row.at_ms, change.type)
        for row in seen.rows
        for change in row.anomalies
        if isinstance(change, AnomalyBegan)
    ]


def oracle(seen: Replayed) -> list[Alarm]:
    """Report each incident at the first tick after its onset."""
    return [
        Alarm((incident.onset_ms // TICK_MS + 1) * TICK_MS, incident.type)
        for incident in seen.session.incidents
    ]


def silence(seen: Replayed) -> list[Alarm]:
    """Report nothing."""
    del seen
    return []


def rising(seen: Replayed, is_alarming: Sequence[bool]) -> list[Alarm]:
    """Return an alarm, of no type, wherever a row is alarming and the one before is not."""
    return [
        Alarm(row.at_ms, None)
        for row, now, before in zip(seen.rows, is_alarming, (False, *is_alarming), strict=False)
        if now and not before
    ]
