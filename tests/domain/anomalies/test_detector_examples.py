"""What is an anomaly, and what is none, by example."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from conductor_actors.domain.anomalies.evidence import noticeable_s
from conductor_actors.domain.anomalies.parameters import parameters_of
from conductor_actors.domain.checkpoints.encoding import decode_state, encode_state
from conductor_actors.domain.detection import with_anomalies
from conductor_actors.domain.events import ChatMessage, UserJoined
from conductor_actors.domain.gaps import GapMark
from conductor_actors.domain.scoring import Scoring
from conductor_actors.domain.session_rules import SessionRules
from conductor_actors.domain.session_state import row_at
from tests.domain.anomalies.watched_session import BEGIN_MS, WatchedSession, every

MARKS = {"default": GapMark("trimmed", None)}
NONE = every(10**9)


def steady(
    seconds: int = 600, people: int = 20, rules: SessionRules | None = None
) -> WatchedSession:
    session = WatchedSession(rules)
    session.join(people)
    session.run(seconds, every(1), every(2))
    return session


def types(session: WatchedSession) -> list[str]:
    return [began.type for _, began in session.began]


def test_many_who_leave_within_a_minute_are_a_mass_exit() -> None:
    session = steady(people=40)
    session.leave(range(22, 40))
    session.run(180, every(1), every(2))
    [(began_s, began)] = session.began
    assert (began_s, began.type, began.severity) == (615, "MASS_EXIT", "CRITICAL")
    assert began.reason == "18 of 40 people left within 1 min, and none of them came back."
    assert len(session.ended) == 1


def test_a_reconnect_of_everybody_is_no_mass_exit() -> None:
    session = steady(people=40)
    session.leave(range(40))
    session.run(8, every(1), every(2))
    session.join(40)
    session.run(180, every(1), every(2))
    assert not session.changes


def test_people_who_leave_after_applause_are_no_mass_exit() -> None:
    session = steady(people=60)
    session.run(30, every(1), lambda _: 6)
    for first in range(20, 60, 4):
        session.leave(range(first, first + 4))
        session.run(5, every(2), NONE)
    assert not session.began


@pytest.mark.parametrize(("reactions", "expected"), [(lambda _: 60, []), (every(2), ["MASS_EXIT"])])
def test_two_thousand_who_leave_within_a_minute_are_a_mass_exit_unless_they_have_applauded(
    reactions: Callable[[int], int], expected: list[str]
) -> None:
    session = steady(seconds=400, people=2000)
    session.run(30, every(1), reactions)
    for first in range(0, 2000, 200):
        session.leave(range(first, first + 200))
        session.run(5, every(1), NONE)
    session.run(300)
    assert types(session) == expected
    assert len(session.ended) == len(expected)


def test_a_gap_in_the_middle_of_an_anomaly_neither_ends_nor_repeats_it() -> None:
    session = steady()
    session.run(20)
    session.run(60, NONE, NONE, MARKS)
    session.run(60)
    assert types(session) == ["SUDDEN_DROP"]
    session.run(120, every(1), every(2))
    assert (types(session), len(session.ended)) == (["SUDDEN_DROP"], 1)


def test_a_crowd_that_does_nothing_is_reported_after_six_minutes_once() -> None:
    session = WatchedSession()
    session.join(12)
    session.run(1700)
    assert types(session) == ["LOW_ENGAGEMENT"]
    began_s, began = session.began[0]
    assert 360 <= began_s <= 420
    assert (
        began.reason == "The score has stayed at 0.00 for 3 min 55 s, while 12 people were present."
    )
    assert [ended_s - began_s for ended_s, _ in session.ended] == [600]


def test_a_small_or_young_session_without_activity_is_no_news() -> None:
    for people, seconds in ((9, 1700), (12, 300)):
        session = WatchedSession()
        session.join(people)
        session.run(seconds)
        assert not session.changes


def test_nothing_begins_while_quiet_is_arranged_and_what_is_open_ends() -> None:
    session = steady()
    session.state.quiet_until_ms = session.now_ms + 300_000
    session.run(300)
    assert not session.changes
    session = steady()
    session.run(20)
    assert types(session) == ["SUDDEN_DROP"]
    session.state.quiet_until_ms = session.now_ms + 300_000
    session.run(5)
    assert [at_s for at_s, _ in session.ended] == [625]


def test_closed_chat_is_no_drop_of_chat() -> None:
    session = steady()
    session.state.chat_is_open = False
    session.run(120, NONE, every(2))
    assert not session.changes


def test_nothing_begins_at_ticks_that_miss_events() -> None:
    session = steady()
    session.run(300, NONE, NONE, MARKS)
    assert not session.changes


def test_nothing_begins_right_after_ticks_that_were_missed() -> None:
    session = steady()
    session.second += 300  # in quarantine
    session.run(50)
    assert not session.changes


def test_nothing_begins_in_the_first_thirty_ticks() -> None:
    session = steady(seconds=60)
    session.run(85)
    assert not session.changes


def test_an_anomaly_ends_at_the_last_row_before_a_session_falls_asleep() -> None:
    rules = SessionRules(timeout_s=120)
    session = steady(rules=rules)
    session.run(200)
    last_s = (session.rows[-1].at_ms - BEGIN_MS) // 1000
    assert types(session) == ["SUDDEN_DROP"]
    assert [at_s for at_s, _ in session.ended] == [last_s]
    session.run(300, every(1), every(2))  # it wakes
    assert len(session.changes) == 2


def test_a_session_that_begins_anew_is_unknown() -> None:
    rules = SessionRules(timeout_s=120, presence_timeout_s=120)
    session = steady(rules=rules)
    session.run(200)
    session.run(120, every(1), every(2))
    session.run(20)
    assert len(session.changes) == 2


def test_an_anomaly_ends_after_ten_minutes_and_what_is_left_is_usual() -> None:
    session = steady()
    session.run(1500, every(20), NONE)
    assert types(session)[:1] == ["SUDDEN_DROP"]
    assert session.ended[0][0] - session.began[0][0] == 600
    assert len(session.began) == 1


@pytest.mark.parametrize(
    ("begins_s", "before"), [(0, NONE), (60, NONE), (400, NONE), (0, every(6)), (400, every(6))]
)
def test_a_flood_of_one_user_is_no_baseline(begins_s: int, before: Callable[[int], int]) -> None:
    session = WatchedSession()
    session.join(20)
    session.run(begins_s, before, NONE)
    for _ in range(60):
        session.apply([ChatMessage(session.now_ms, None, "bot", None)] * 5)
        session.run(1, before, NONE)
    session.run(300, before, NONE)
    assert not {*types(session)} - {"LOW_ENGAGEMENT"}


def test_a_platform_without_presence_is_watched() -> None:
    session = WatchedSession()
    session.run(600, every(1), every(2))
    session.run(30)
    [(began_s, began)] = session.began
    assert (began_s, began.type) == (610, "SUDDEN_DROP")
    assert began.reason.endswith("where 15 were expected.")


def test_a_platform_without_reactions_is_watched() -> None:
    session = WatchedSession()
    session.join(20)
    session.run(600, every(1), NONE)
    session.run(30)
    assert types(session) == ["SUDDEN_DROP"]


def test_joins_without_leaves_are_no_anomaly() -> None:
    session = steady()
    for number in range(300):
        session.apply([UserJoined(session.now_ms, None, f"guest-{number}")])
        session.run(2, every(1), every(2))
    assert not session.changes


def test_the_detector_of_a_busy_crowd_takes_less_than_a_kilobyte() -> None:
    session = WatchedSession()
    session.join(2000)
    session.run(700, lambda _: 9, lambda _: 7)
    for first in range(1000, 1500, 10):
        session.leave(range(first, first + 10))
        session.run(5, lambda _: 9, lambda _: 7)
    with_detector = len(encode_state(session.state))
    session.state.detector = None
    assert with_detector - len(encode_state(session.state)) < 1024


def test_a_detector_that_was_stored_finds_the_same() -> None:
    session, twin = steady(), steady()
    for _ in range(60):
        data = encode_state(twin.state)
        twin.state = decode_state(data, twin.state.session_id, twin.rules)
        for each in (session, twin):
            each.run(5, NONE if each.second < 700 else every(1), NONE)
    assert session.rows == twin.rows
    assert len(session.changes) == 2


def test_types_can_be_off() -> None:
    rules = SessionRules(anomalies=parameters_of("normal", ("SUDDEN_DROP", "GRADUAL_DECLINE")))
    session = steady(rules=rules, people=8)
    session.run(300)
    assert not session.changes


def test_a_higher_sensitivity_reports_sooner() -> None:
    began_s = []
    for sensitivity in ("high", "normal", "low"):
        session = WatchedSession(SessionRules(anomalies=parameters_of(sensitivity)))
        session.join(20)
        session.run(900, every(3), every(6))
        session.run(100)
        began_s.append(session.began[0][0])
    assert began_s == sorted(began_s)
    assert began_s[0] < began_s[2]


def test_ticks_that_are_longer_than_a_minute_detect_nothing() -> None:
    session = steady(rules=SessionRules(tick_s=90))
    session.run(300)
    assert session.rows
    assert not session.changes
    assert session.state.detector is None


@pytest.mark.parametrize("tick_s", [1, 10, 30])
def test_a_stop_is_found_at_ticks_of_other_lengths(tick_s: int) -> None:
    session = steady(900, rules=SessionRules(tick_s=tick_s))
    session.run(60)
    assert types(session) == ["SUDDEN_DROP"]


def test_a_stop_is_noticeable_once_nine_events_are_missing() -> None:
    assert noticeable_s(90) == 6
    assert noticeable_s(9.9) is None


def test_an_idle_session_has_no_detector_or_one_that_rests() -> None:
    lonely = WatchedSession()
    lonely.join(2)
    lonely.run(300)
    assert lonely.state.detector is None
    few = WatchedSession()
    few.join(5)
    few.run(300)
    assert few.state.detector is not None
    assert few.state.detector.is_resting


def fail_at_the_next_tick(session: WatchedSession) -> None:
    session.second += session.rules.tick_s
    row = row_at(session.now_ms, "default", session.state, Scoring())
    with pytest.raises(TypeError):
        with_anomalies(replace(row, score=None), session.state)


def test_a_detector_that_raises_in_the_middle_of_a_tick_is_forgotten() -> None:
    session = steady()
    fail_at_the_next_tick(session)
    assert session.state.detector is None


def test_an_anomaly_ends_although_its_detector_has_raised() -> None:
    session = steady()
    session.run(20)
    fail_at_the_next_tick(session)
    session.run(300, every(1), every(2))
    assert len(session.began) == len(session.ended) == 1
    assert session.began[0][1].id == session.ended[0][1].id
