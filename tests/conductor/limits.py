"""Whether limits hold: the conductor of the service in sessions with many anomalies and requests.

Sessions are conducted tick by tick. Anomalies come as soon as one can be decided about, people
start actions and approve suggestions, and what is to be sent is sent after some ticks, or never.
The limits are those of the contract, written down here again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from random import Random
from typing import Final, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from conductor_actors.domain.anomalies.changes import ANOMALY_TYPES
from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.directives import Directives
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    INTERVENTION_TYPES,
    Intervention,
    InterventionType,
    Mode,
)
from conductor_actors.domain.conductor.policy import Policy, added
from conductor_actors.domain.conductor.requests import Approved, InterventionSent, ManualRequested
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.conducting.conducted_session import BEGIN_MS, ConductedSession
from tests.support.score_rows import began

DECISIONS: Final = 40  # of a session
MODES: Final[tuple[Mode, ...]] = ("AUTO", "SEMI_AUTO", "MANUAL")
COOLDOWNS_S: Final = {"POLL": 120, "BROADCAST": 60, "NOTIFICATION": 300, "GAMIFICATION": 180}
DISTANCE_S: Final = 30
MAX_IN_5_MINUTES: Final = 10
SEND_WITHIN_S: Final = 15
MAX_TICKS: Final = 30 * DECISIONS * 4


class SentAt(NamedTuple):
    """An action, when it was approved and when it was sent."""

    type: InterventionType
    approved_s: float
    at_s: float


class Conducted(NamedTuple):
    """What a session decided and sent, and what violated a limit."""

    decisions: int
    sent: int
    violations: Counter[str]

    def __add__(self, other: object) -> "Conducted":
        assert isinstance(other, Conducted)
        return Conducted(
            self.decisions + other.decisions,
            self.sent + other.sent,
            self.violations + other.violations,
        )


NOTHING_CONDUCTED: Final = Conducted(0, 0, Counter())


def conduct(seed: int, number: int) -> Conducted:
    """Conduct one session, and check all that it decided and sent."""
    rng = Random(f"limits/{seed}/{number}")
    mode = MODES[number % len(MODES)]
    room = _Room(rng, mode, f"{seed}/{number}")
    for _ in range(MAX_TICKS):
        room.tick()
        if len(room.decisions) >= DECISIONS:
            break
    found = Counter(violations_of_sending(room.sent))
    for decision in room.decisions.values():
        at_s = (decision.at_ms - BEGIN_MS) / 1000
        found.update(violations_of_deciding(decision, at_s, room.sent))
    return Conducted(len(room.decisions), len(room.sent), found)


class _Room:
    """A session with impatient people, and a courier that takes its time."""

    def __init__(self, rng: Random, mode: Mode, name: str) -> None:
        self._rng = rng
        self._name = name
        self._number = 0
        rules = SessionRules(conduct=ConductRules(mode=mode, salt=name))
        self._session = ConductedSession(rules, Directives(_policy(rng)))
        self._send_at_s: dict[str, float] = {}
        self.decisions: dict[str, Intervention] = {}
        self.sent: list[SentAt] = []

    def tick(self) -> None:
        self._number += 1
        self._request()
        self._send()
        identity = str(uuid5(NAMESPACE_URL, f"{self._name}/{self._number}"))
        anomaly = began(identity, type=self._rng.choice(ANOMALY_TYPES))
        has_anomaly = self._rng.random() < 0.5
        score = self._rng.random()
        for each in self._session.tick(anomaly if has_anomaly else None, score=score):
            if each.choice is not None:
                self.decisions.setdefault(each.id, each)

    def _request(self) -> None:
        if self._rng.random() < 0.05:
            action = self._rng.choice(ACTIONS)
            identity = str(uuid5(NAMESPACE_URL, f"{self._name}/{self._number}/manual"))
            self._session.request(ManualRequested(0, identity, action, "now"))
        for each in self._session.open:
            if each.status == "SUGGESTED" and self._rng.random() < 0.1:
                self._session.request(Approved(0, each.id))

    def _send(self) -> None:
        now_s = float(self._session.at_s)
        for each in self._session.open:
            if not each.is_to_send:
                continue
            at_s = self._send_at_s.setdefault(each.id, now_s + self._rng.choice((0, 0, 5, 10, 99)))
            if at_s <= now_s and self._session.at_ms <= each.send_by_ms:
                approved_s = (each.steps["APPROVED"] - BEGIN_MS) / 1000
                self.sent.append(SentAt(each.type, approved_s, now_s))
                self._session.request(InterventionSent(0, each.id))


def _policy(rng: Random) -> Policy:
    """Return what some trials with random outcomes gave."""
    policy = Policy()
    for _ in range(rng.randrange(60)):
        kind, anomaly_type = rng.choice(INTERVENTION_TYPES), rng.choice(ANOMALY_TYPES)
        policy = added(
            policy, kind, anomaly_type, rng.randrange(1_000_000), rng.randrange(1_000_000)
        )
    return policy


def violations_of_sending(sent: Sequence[SentAt]) -> Iterator[str]:
    for one, other in combinations(sent, 2):
        distance_s = other.at_s - one.at_s
        if distance_s < DISTANCE_S:
            yield "two within 30 s"
        if one.type == other.type and distance_s < COOLDOWNS_S[one.type]:
            yield f"{one.type} during its cooldown"
    for each in sent:
        if sum(0 <= other.at_s - each.at_s < 300 for other in sent) > MAX_IN_5_MINUTES:
            yield "more than ten in 5 minutes"
        if each.at_s - each.approved_s > SEND_WITHIN_S:
            yield "sent later than 15 s after its tick"


def violations_of_deciding(
    decision: Intervention, at_s: float, sent: Sequence[SentAt]
) -> Iterator[str]:
    assert decision.choice is not None
    shares = decision.choice.probabilities
    if sum(shares.values()) != 1_000_000:
        yield "probabilities do not add up"
    if shares["HOLD"] < 100_000 or min(shares.values()) < 20_000:
        yield "less than a floor"
    for each in sent:
        since_s = at_s - each.at_s
        if 0 < since_s < DISTANCE_S:
            yield "decided within 30 s of an action"
        if each.type in shares and 0 < since_s < COOLDOWNS_S[each.type]:
            yield f"{each.type} could be drawn during its cooldown"
