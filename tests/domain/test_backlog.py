from conductor_actors.domain.backlog import (
    MAIL_FIRST_S,
    MAX_DRAIN_ROWS,
    SLOW_WRITE_S,
    Backlog,
    BacklogStep,
    Batch,
    Conditions,
)

MAX_ROWS = 20
ALL = Conditions(can_write=True, can_spill=True, can_drain=True, has_mail=False)
BUSY = ALL._replace(has_mail=True)
NOTHING = Conditions(can_write=False, can_spill=False, can_drain=False, has_mail=True)


def backlog_of(items: int) -> Backlog[int]:
    """Return a backlog with batches of 8 and an outbox that is known to be empty."""
    backlog = Backlog(Batch[int](max_items=8, max_age_s=1.0), MAX_ROWS)
    backlog.set_outbox(has_rows=False)
    for item in range(items):
        backlog.add([item], 0.0)
    return backlog


def test_the_outbox_is_checked_for_spilled_rows_first() -> None:
    backlog = Backlog(Batch[int](1, 1.0), MAX_ROWS)
    backlog.add([1], 0.0)
    assert backlog.next_step(0.0, ALL) is BacklogStep.CHECK_OUTBOX
    assert backlog.next_step(0.0, ALL._replace(can_drain=False)) is BacklogStep.WRITE


def test_a_due_batch_is_written_before_mail() -> None:
    assert backlog_of(7).next_step(0.0, BUSY) is BacklogStep.WAIT
    assert backlog_of(7).next_step(1.0, BUSY) is BacklogStep.WRITE
    assert backlog_of(8).next_step(0.0, BUSY) is BacklogStep.WRITE


def test_after_a_slow_write_mail_goes_first() -> None:
    backlog = backlog_of(8)
    backlog.write_succeeded(SLOW_WRITE_S + 0.1, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WAIT
    assert backlog.next_step(0.0, ALL) is BacklogStep.WRITE
    backlog.write_succeeded(SLOW_WRITE_S, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WRITE


def test_after_a_failed_write_mail_goes_first_for_a_limited_time() -> None:
    backlog = backlog_of(8)
    backlog.write_failed(now_s=0.0)
    assert backlog.next_step(MAIL_FIRST_S - 0.1, BUSY) is BacklogStep.WAIT
    assert backlog.next_step(MAIL_FIRST_S, BUSY) is BacklogStep.WRITE


def test_more_rows_are_drained_than_spilled_even_if_mail_never_ends() -> None:
    backlog = backlog_of(MAX_ROWS + 1)
    backlog.write_succeeded(0.0, now_s=0.0)
    backlog.set_outbox(has_rows=True)
    backlog.remove(8)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.DRAIN
    assert backlog.drain_size() > 8
    backlog.write_succeeded(0.0, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WAIT


def test_an_overflow_is_spilled_only_if_writes_are_slow() -> None:
    backlog = backlog_of(MAX_ROWS + 1)
    assert backlog.overflow() == 1
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WRITE
    backlog.write_failed(0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.SPILL
    assert backlog.next_step(0.0, BUSY._replace(can_spill=False)) is BacklogStep.WRITE
    assert backlog.next_step(0.0, NOTHING) is BacklogStep.WAIT


def test_a_flush_is_done_once_the_rows_are_written_or_spilled() -> None:
    backlog = backlog_of(3)
    mark = backlog.request_flush()
    backlog.add([3], 0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WRITE
    backlog.write_failed(0.0)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.SPILL
    assert not backlog.is_flushed(mark)
    backlog.remove(2)
    assert not backlog.is_flushed(mark)
    backlog.remove(1)
    assert backlog.is_flushed(mark)
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WAIT


def test_rows_in_memory_wait_for_the_spilled_ones() -> None:
    backlog = backlog_of(8)
    backlog.write_failed(now_s=0.0)
    backlog.set_outbox(has_rows=True)
    assert backlog.next_step(0.0, ALL) is BacklogStep.DRAIN
    assert backlog.next_step(0.0, BUSY) is BacklogStep.WAIT
    assert backlog.next_step(0.0, ALL._replace(can_drain=False)) is BacklogStep.WAIT
    assert backlog.next_step(0.0, ALL._replace(can_write=False)) is BacklogStep.WAIT
    backlog.set_outbox(has_rows=False)
    assert backlog.next_step(0.0, ALL) is BacklogStep.WRITE


def test_a_flush_spills_rows_while_the_outbox_has_some() -> None:
    backlog = backlog_of(1)
    backlog.set_outbox(has_rows=True)
    backlog.request_flush()
    assert backlog.next_step(0.0, ALL) is BacklogStep.SPILL


def test_an_outbox_that_accepts_nothing_is_drained_before_mail() -> None:
    backlog = backlog_of(MAX_ROWS + 1)
    backlog.write_failed(now_s=0.0)
    backlog.set_outbox(has_rows=True)
    assert backlog.next_step(0.0, BUSY._replace(can_spill=False)) is BacklogStep.DRAIN


def test_a_failed_write_is_halved_and_grows_again() -> None:
    backlog = backlog_of(MAX_ROWS)
    sizes = [len(backlog.next_batch())]
    for _ in range(7):
        backlog.write_failed(0.0)
        sizes.append(len(backlog.next_batch()))
    assert sizes == [8, 4, 2, 1, 1, 1, 1, 1]
    assert backlog.drain_size() == MAX_DRAIN_ROWS // 32
    for _ in range(5):
        backlog.write_succeeded(0.0, now_s=0.0)
    assert backlog.next_batch() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert backlog.drain_size() == MAX_DRAIN_ROWS


def test_a_full_batch_is_spilled_however_small_the_writes_are() -> None:
    backlog = backlog_of(MAX_ROWS)
    backlog.write_failed(0.0)
    assert backlog.next_spill() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_sample_is_spread_over_the_rows_in_memory() -> None:
    assert backlog_of(0).sample(3) == []
    assert backlog_of(3).sample(3) == [0, 1, 2]
    assert backlog_of(9).sample(3) == [0, 3, 6]
    assert backlog_of(10).sample(3) == [0, 4, 8]


def test_the_database_is_away_when_no_write_has_succeeded_for_so_long() -> None:
    backlog = Backlog[int](Batch(10, 1.0), 100)
    assert not backlog.is_away(1000.0, for_s=15.0)
    backlog.begin_write(1000.0)
    assert not backlog.is_away(1015.0, for_s=15.0)
    backlog.write_failed(1010.0)
    backlog.begin_write(1012.0)
    assert backlog.is_away(1015.1, for_s=15.0)
    backlog.write_succeeded(duration_s=1.0, now_s=1016.0)
    assert not backlog.is_away(2000.0, for_s=15.0)
