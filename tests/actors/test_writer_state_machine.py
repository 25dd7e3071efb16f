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
from tests.actors.writer_harness import MAX_MEMORY_ROWS, MAX_ROWS, UNAVAILABLE, WriterHarness
from tests.support.score_rows import row

OUTAGES = [None, None, UNAVAILABLE, ConfigError("no table")]


class WriterMachine(RuleBasedStateMachine):
    """Three sessions, tick after tick. A killed process tells again what was not count_flushed."""

    def __init__(self) -> None:
        super().__init__()
        self.harness = WriterHarness()
        self.sent: list[ScoreRow] = []
        self.flushes: list[int] = []  # how many rows were told before each
        self.can_set_aside = True

    @rule(ticks=st.integers(1, MAX_MEMORY_ROWS))
    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            at_ms = len(self.sent) * 1000
            rows = [row(session_id, at_ms) for session_id in "abc"]
            self.sent += rows
            self.harness.send(rows)

    @rule()
    def flush(self) -> None:
        self.flushes.append(len(self.sent))
        self.harness.flush(number=len(self.flushes) - 1)

    @rule(seconds=st.floats(0, 6))
    def pass_time(self, seconds: float) -> None:
        self.harness.pass_time(seconds)

    @rule(outage=st.sampled_from(OUTAGES), takes_s=st.sampled_from([0.0, 0.0, 8.0]))
    def change_database(self, outage: Exception | None, takes_s: float) -> None:
        self.harness.store.outage, self.harness.store.takes_s = outage, takes_s

    @rule(outage=st.sampled_from(OUTAGES), refusal=st.sampled_from(OUTAGES))
    def change_outbox(self, outage: Exception | None, refusal: Exception | None) -> None:
        self.harness.outbox.outage, self.harness.outbox.refusal = outage, refusal
        self.can_set_aside &= outage is refusal is None

    @rule(waits=st.booleans())
    def change_mail(self, waits: bool) -> None:
        while not self.harness.mailbox.empty():
            self.harness.mailbox.get()
        if waits:
            self.harness.mailbox.tell(Scored([row()]))

    @rule()
    def fail_in_the_middle_of_a_write(self) -> None:
        self.harness.start_writer()

    @precondition(
        lambda self: self.harness.outbox.outage is None
    )  # without Redis there is no start
    @rule()
    def kill(self) -> None:
        self.harness.start_process()
        self.harness.pass_time(0.0)
        self.harness.send(self.sent[self.count_flushed() :])

    def count_flushed(self) -> int:
        answers = [message.number for message in self.harness.checkpointer.of(Flushed)]
        return self.flushes[max(answers)] if answers else 0

    @invariant()
    def what_was_flushed_is_durable(self) -> None:
        durable = {*map(key, self.harness.stored), *map(key, self.harness.outbox.rows)}
        assert durable >= set(map(key, self.sent[: self.count_flushed()]))

    @invariant()
    def memory_is_bounded_while_the_outbox_takes_rows(self) -> None:
        if self.can_set_aside:
            assert len(self.harness.backlog) <= MAX_MEMORY_ROWS + MAX_ROWS
            assert self.harness.backlog.overflow() == 0

    @invariant()
    def rows_are_stored_in_the_order_of_their_sessions_ticks(self) -> None:
        ticks: dict[str, list[int]] = defaultdict(list)
        for each in self.harness.stored:
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
        assert set(map(key, self.harness.stored)) == set(map(key, self.sent))
        assert self.harness.outbox.rows == []
        assert len(self.harness.backlog) == 0
        assert self.count_flushed() == len(self.sent)


def key(each: ScoreRow) -> tuple[str, int]:
    return each.session_id, each.at_ms


def test_no_sequence_of_outages_and_crashes_loses_a_row() -> None:
    often = settings(max_examples=200, stateful_step_count=30, deadline=None)
    run_state_machine_as_test(WriterMachine, settings=often)
