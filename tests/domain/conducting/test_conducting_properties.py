"""What holds in a conducted session, whatever is requested, sent and reported, and when."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from conductor_actors.domain.conductor.action_limits import (
    ACTIONS_WITHIN_MS,
    COOLDOWNS_MS,
    MAX_ACTIONS,
    MIN_DISTANCE_MS,
)
from conductor_actors.domain.conductor.conduct_rules import ConductRules
from conductor_actors.domain.conductor.interventions import (
    ACTIONS,
    STATUS_RANKS,
    ActionType,
    Intervention,
    Mode,
)
from conductor_actors.domain.conductor.requests import (
    Approved,
    Dismissed,
    InterventionReported,
    InterventionSent,
    ManualRequested,
    ModeSet,
)
from conductor_actors.domain.session_rules import SessionRules
from tests.domain.conducting.conducted_session import ConductedSession


class Step(NamedTuple):
    """What happens before a tick, and at it."""

    ticks: int
    drops: bool
    score: float
    has_gap: bool
    does: str
    action: ActionType
    sends: bool


DOINGS: Final = ("nothing", "approve", "dismiss", "manual", "report", "OFF", "AUTO", "back")
steps: Final = st.lists(
    st.builds(
        Step,
        st.sampled_from((1, 1, 2, 3, 6, 12, 24)),
        st.booleans(),
        st.sampled_from((0.0, 0.1, 0.5, 1.0)),
        st.sampled_from((False, False, False, True)),
        st.sampled_from(DOINGS),
        st.sampled_from(ACTIONS),
        st.sampled_from((True, True, False)),
    ),
    max_size=60,
)
modes: Final = st.sampled_from(("MANUAL", "SEMI_AUTO", "AUTO"))


class Sent(NamedTuple):
    """An action that was sent, by the entry that says so."""

    type: str
    at_ms: int


class Play:
    """Passes steps to a session, and sends what it wants sent, as a courier would."""

    def __init__(self, mode: Mode) -> None:
        self.session = ConductedSession(SessionRules(conduct=ConductRules(mode=mode)))
        self.records: defaultdict[str, list[Intervention]] = defaultdict(list)
        self.sent: dict[str, Sent] = {}
        self._number = 0

    def pass_step(self, step: Step) -> None:
        self._number += 1
        self._request(step)
        for number in range(step.ticks):
            if step.sends:
                self._send()
            is_drop = step.drops and number == 0
            tick = self._drop if is_drop else self.session.tick
            for each in tick(score=step.score, has_gap=step.has_gap):
                self.records[each.id].append(each)

    def _drop(self, *, score: float, has_gap: bool) -> Sequence[Intervention]:
        del has_gap
        return self.session.drop(self._number, score)

    def _request(self, step: Step) -> None:
        newest = self.session.open[-1].id if self.session.open else "unknown"
        match step.does:
            case "approve":
                self.session.request(Approved(0, newest))
            case "dismiss":
                self.session.request(Dismissed(0, newest))
            case "manual":
                self.session.request(ManualRequested(0, f"manual-{self._number}", step.action, ""))
            case "report":
                self.session.request(InterventionReported(0, newest, is_success=step.drops))
            case "OFF" | "AUTO":
                self.session.request(ModeSet(0, step.does))
            case "back":
                self.session.request(ModeSet(0, None))

    def _send(self) -> None:
        for each in self.session.open:
            if each.is_to_send and each.id not in self.sent:
                self.sent[each.id] = Sent(each.type, self.session.at_ms)
                self.session.request(InterventionSent(0, each.id))


@given(modes, steps)
def test_statuses_only_move_forward_and_what_is_written_once_stays(
    mode: Mode, steps: list[Step]
) -> None:
    play = Play(mode)
    for step in steps:
        play.pass_step(step)
    for records in play.records.values():
        for earlier, later in pairwise(records):
            assert STATUS_RANKS[later.status] >= STATUS_RANKS[earlier.status]
            assert list(later.steps)[: len(earlier.steps)] == list(earlier.steps)
            assert later.outcome == earlier.outcome or earlier.outcome is None
            assert (later.choice, later.before) == (earlier.choice, earlier.before)
        assert list(records[-1].steps.values()) == sorted(records[-1].steps.values())


QUIET: Final = Step(
    ticks=1, drops=False, score=0.0, has_gap=False, does="nothing", action="BROADCAST", sends=True
)
REPORTED_BEFORE_IT_WAS_SENT: Final = [
    QUIET._replace(ticks=3, does="manual", sends=False),
    QUIET._replace(ticks=9, does="report"),
    QUIET._replace(ticks=2, does="manual"),
]


@given(modes, steps)
@example("MANUAL", REPORTED_BEFORE_IT_WAS_SENT)
def test_no_limit_is_ever_exceeded(mode: Mode, steps: list[Step]) -> None:
    play = Play(mode)
    for step in steps:
        play.pass_step(step)
    sent = sorted(play.sent.values(), key=lambda each: each.at_ms)
    for index, one in enumerate(sent):
        for other in sent[index + 1 :]:
            distance_ms = other.at_ms - one.at_ms
            assert distance_ms >= MIN_DISTANCE_MS
            if one.type == other.type:
                assert distance_ms >= COOLDOWNS_MS[one.type]  # type: ignore[index]
        within = [each for each in sent if 0 <= each.at_ms - one.at_ms < ACTIONS_WITHIN_MS]
        assert len(within) <= MAX_ACTIONS


@given(modes, steps)
def test_a_session_decides_the_same_from_any_checkpoint(mode: Mode, steps: list[Step]) -> None:
    whole, restored = Play(mode), Play(mode)
    for step in steps:
        whole.pass_step(step)
        restored.pass_step(step)
        restored.session.checkpoint()
    assert restored.session.rows == whole.session.rows
    assert restored.session.state.conduct == whole.session.state.conduct


@given(modes, steps)
def test_nothing_is_to_be_sent_while_the_mode_is_off(mode: Mode, steps: list[Step]) -> None:
    play = Play(mode)
    for step in steps:
        play.pass_step(step)
        agent = play.session.agent
        if agent is not None and agent.mode == "OFF":
            assert not any(each.status in ("SUGGESTED", "APPROVED") for each in play.session.open)


@given(modes, steps)
def test_one_choice_is_open_at_a_time_and_little_is_remembered(
    mode: Mode, steps: list[Step]
) -> None:
    play = Play(mode)
    for step in steps:
        play.pass_step(step)
        conduct = play.session.state.conduct
        if conduct is not None:
            assert sum(each.is_to_send for each in conduct.open) <= 1
            trials = [each for each in conduct.open if each.choice is not None]
            assert sum(each.outcome is None for each in trials) <= 1
            assert len(conduct.open) <= 8
            assert len(conduct.sent) <= MAX_ACTIONS + 1
