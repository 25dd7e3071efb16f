"""Whatever happens to the database, the outbox and the Writer: no row is lost, order is kept."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from conductor_actors.actors.messages import Flushed, Scored
from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.errors import ConfigError
from tests.actors.desk import AWAY, MAX_ROWS, MOST, Desk
from tests.support.score_rows import row

OUTAGES = [None, None, AWAY, ConfigError("no table")]


class Storm(RuleBasedStateMachine):
    """Three sessions, tick after tick. A killed process tells again what was not flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.told: list[ScoreRow] = []
        self.flushes: list[int] = []  # how many rows were told before each
        self.can_set_aside = True

    @rule(ticks=st.integers(1, MOST))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            at_ms = len(self.told) * 1000
            rows = [row(session_id, at_ms) for session_id in "abc"]
            self.told += rows
            self.desk.tell(rows)

    @rule()
    def flush(self) -> None:
        self.flushes.append(len(self.told))
        self.desk.flush(number=len(self.flushes) - 1)

    @rule(seconds=st.floats(0, 6))
    def pass_time(self, seconds: float) -> None:
        self.desk.pass_time(seconds)

    @rule(outage=st.sampled_from(OUTAGES), takes_s=st.sampled_from([0.0, 0.0, 8.0]))
    def change_database(self, outage: Exception | None, takes_s: float) -> None:
        self.desk.store.outage, self.desk.store.takes_s = outage, takes_s

    @rule(outage=st.sampled_from(OUTAGES), refusal=st.sampled_from(OUTAGES))
    def change_outbox(self, outage: Exception | None, refusal: Exception | None) -> None:
        self.desk.outbox.outage, self.desk.outbox.refusal = outage, refusal
        self.can_set_aside &= outage is refusal is None

    @rule(waits=st.booleans())
    def change_mail(self, waits: bool) -> None:
        while not self.desk.mailbox.empty():
            self.desk.mailbox.get()
        if waits:
            self.desk.mailbox.tell(Scored([row()]))

    @rule()
    def fail_in_the_middle_of_a_write(self) -> None:
        self.desk.start_writer()

    @precondition(lambda self: self.desk.outbox.outage is None)  # without Redis there is no start
    @rule()
    def kill(self) -> None:
        self.desk.start_process()
        self.desk.pass_time(0.0)
        self.desk.tell(self.told[self.flushed() :])

    def flushed(self) -> int:
        answers = [message.number for message in self.desk.checkpointer.of(Flushed)]
        return self.flushes[max(answers)] if answers else 0

    @invariant()
    def what_was_flushed_is_durable(self) -> None:
        durable = {*map(key, self.desk.stored), *map(key, self.desk.outbox.rows)}
        assert durable >= set(map(key, self.told[: self.flushed()]))

    @invariant()
    def memory_is_bounded_while_the_outbox_takes_rows(self) -> None:
        if self.can_set_aside:
            assert len(self.desk.backlog) <= MOST + MAX_ROWS
            assert self.desk.backlog.overflow() == 0

    @invariant()
    def rows_are_stored_in_the_order_of_their_sessions_ticks(self) -> None:
        ticks: dict[str, list[int]] = defaultdict(list)
        for each in self.desk.stored:
            ticks[each.session_id].append(each.at_ms)
        assert all(stored == sorted(stored) for stored in ticks.values())

    def teardown(self) -> None:
        """Let the storm be over: everything that was told is stored, and nothing else waits."""
        self.change_database(None, 0.0)
        self.change_outbox(None, None)
        self.change_mail(waits=False)
        self.flush()
        for _ in range(3):
            self.pass_time(6.0)
        assert set(map(key, self.desk.stored)) == set(map(key, self.told))
        assert self.desk.outbox.rows == []
        assert len(self.desk.backlog) == 0
        assert self.flushed() == len(self.told)


def key(each: ScoreRow) -> tuple[str, int]:
    return each.session_id, each.at_ms


def test_no_storm_costs_a_row() -> None:
    often = settings(max_examples=200, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(Storm, settings=often)
