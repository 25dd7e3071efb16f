from conductor_actors.domain.backlog import (
    DRAIN_ROWS,
    MAIL_FIRST_S,
    SLOW_S,
    Backlog,
    Batch,
    Can,
    Step,
)

MOST = 20
ALL = Can(write=True, spill=True, drain=True, mail_waits=False)
BUSY = ALL._replace(mail_waits=True)
NOTHING = Can(write=False, spill=False, drain=False, mail_waits=True)


def backlog_of(items: int) -> Backlog[int]:
    """Make a backlog with batches of 8, whose outbox is known to be empty."""
    backlog = Backlog(Batch[int](max_items=8, max_age_s=1.0), MOST)
    backlog.mark_outbox(holds=False)
    for item in range(items):
        backlog.add([item], 0.0)
    return backlog


def test_it_looks_for_what_a_predecessor_has_set_aside_before_all_else() -> None:
    backlog = Backlog(Batch[int](1, 1.0), MOST)
    backlog.add([1], 0.0)
    assert backlog.next_step(0.0, ALL) is Step.LOOK
    assert backlog.next_step(0.0, ALL._replace(drain=False)) is Step.WRITE


def test_a_due_batch_is_written_though_mail_waits() -> None:
    assert backlog_of(7).next_step(0.0, BUSY) is Step.REST
    assert backlog_of(7).next_step(1.0, BUSY) is Step.WRITE
    assert backlog_of(8).next_step(0.0, BUSY) is Step.WRITE


def test_after_a_slow_write_mail_goes_first() -> None:
    backlog = backlog_of(8)
    backlog.worked(SLOW_S + 0.1, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is Step.REST
    assert backlog.next_step(0.0, ALL) is Step.WRITE
    backlog.worked(SLOW_S, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is Step.WRITE


def test_after_a_write_that_failed_mail_goes_first_but_not_for_ever() -> None:
    backlog = backlog_of(8)
    backlog.failed(now_s=0.0)
    assert backlog.next_step(MAIL_FIRST_S - 0.1, BUSY) is Step.REST
    assert backlog.next_step(MAIL_FIRST_S, BUSY) is Step.WRITE


def test_more_is_drained_than_is_set_aside_though_mail_never_ends() -> None:
    backlog = backlog_of(MOST + 1)
    backlog.worked(0.0, now_s=0.0)
    backlog.mark_outbox(holds=True)
    backlog.left(8)
    assert backlog.next_step(0.0, BUSY) is Step.DRAIN
    assert backlog.drain_size() > 8
    backlog.worked(0.0, now_s=0.0)
    assert backlog.next_step(0.0, BUSY) is Step.REST


def test_too_much_for_memory_is_set_aside_only_when_writing_is_not_as_quick() -> None:
    backlog = backlog_of(MOST + 1)
    assert backlog.overflow() == 1
    assert backlog.next_step(0.0, BUSY) is Step.WRITE
    backlog.failed(0.0)
    assert backlog.next_step(0.0, BUSY) is Step.SPILL
    assert backlog.next_step(0.0, BUSY._replace(spill=False)) is Step.WRITE
    assert backlog.next_step(0.0, NOTHING) is Step.REST


def test_a_promise_is_kept_by_writing_or_by_setting_aside() -> None:
    backlog = backlog_of(3)
    promise = backlog.promise()
    backlog.add([3], 0.0)
    assert backlog.next_step(0.0, BUSY) is Step.WRITE
    backlog.failed(0.0)
    assert backlog.next_step(0.0, BUSY) is Step.SPILL
    assert not backlog.is_kept(promise)
    backlog.left(2)
    assert not backlog.is_kept(promise)
    backlog.left(1)
    assert backlog.is_kept(promise)
    assert backlog.next_step(0.0, BUSY) is Step.REST


def test_memory_waits_for_what_is_set_aside() -> None:
    backlog = backlog_of(8)
    backlog.failed(now_s=0.0)
    backlog.mark_outbox(holds=True)
    assert backlog.next_step(0.0, ALL) is Step.DRAIN
    assert backlog.next_step(0.0, BUSY) is Step.REST
    assert backlog.next_step(0.0, ALL._replace(drain=False)) is Step.REST
    assert backlog.next_step(0.0, ALL._replace(write=False)) is Step.REST
    backlog.mark_outbox(holds=False)
    assert backlog.next_step(0.0, ALL) is Step.WRITE


def test_a_promise_goes_behind_what_is_set_aside() -> None:
    backlog = backlog_of(1)
    backlog.mark_outbox(holds=True)
    backlog.promise()
    assert backlog.next_step(0.0, ALL) is Step.SPILL


def test_an_outbox_that_takes_nothing_is_drained_though_mail_waits() -> None:
    backlog = backlog_of(MOST + 1)
    backlog.failed(now_s=0.0)
    backlog.mark_outbox(holds=True)
    assert backlog.next_step(0.0, BUSY._replace(spill=False)) is Step.DRAIN


def test_what_fails_is_tried_in_halves_which_grow_again() -> None:
    backlog = backlog_of(MOST)
    sizes = [len(backlog.next_batch())]
    for _ in range(7):
        backlog.failed(0.0)
        sizes.append(len(backlog.next_batch()))
    assert sizes == [8, 4, 2, 1, 1, 1, 1, 1]
    assert backlog.drain_size() == DRAIN_ROWS // 32
    for _ in range(5):
        backlog.worked(0.0, now_s=0.0)
    assert backlog.next_batch() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert backlog.drain_size() == DRAIN_ROWS


def test_a_batch_is_set_aside_as_a_whole_however_small_the_writes_are() -> None:
    backlog = backlog_of(MOST)
    backlog.failed(0.0)
    assert backlog.next_spill() == [0, 1, 2, 3, 4, 5, 6, 7]
