from collections.abc import Iterable

from conductor_actors.domain.backlog import Batch


def batch_of(items: Iterable[str], now_s: float = 0.0) -> Batch[str]:
    batch = Batch[str](max_items=3, max_age_s=1.0)
    for item in items:
        batch.add([item], now_s)
    return batch


def test_an_empty_batch_is_never_due() -> None:
    assert not batch_of("").is_due(1e9)


def test_a_batch_is_due_as_soon_as_it_is_full() -> None:
    assert not batch_of("ab").is_due(0.0)
    assert batch_of("abc").is_due(0.0)
    assert batch_of("abcd").is_due(0.0)


def test_a_batch_is_due_when_its_first_item_has_waited_long_enough() -> None:
    batch = batch_of("a", now_s=10.0)
    batch.add(["b"], 10.9)
    assert not batch.is_due(10.9)
    assert batch.is_due(11.0)


def test_items_come_first_in_first_out() -> None:
    batch = batch_of("abcde")
    assert batch.first(3) == ["a", "b", "c"]
    batch.remove(3)
    assert batch.first(3) == ["d", "e"]


def test_items_stay_until_they_are_removed() -> None:
    batch = batch_of("abcd")
    assert batch.first(3) == batch.first(3)
    assert len(batch) == 4
    batch.remove(1)
    assert batch.first(3) == ["b", "c", "d"]


def test_the_items_that_stay_are_due_when_the_first_one_was() -> None:
    batch = batch_of("abc", now_s=0.0)
    batch.add(["d"], 0.5)
    batch.remove(3)
    assert batch.is_due(1.5)


def test_an_emptied_batch_waits_anew() -> None:
    batch = batch_of("a", now_s=0.0)
    batch.remove(1)
    batch.add(["b"], 5.0)
    assert not batch.is_due(5.9)
    assert batch.is_due(6.0)


def test_a_flushed_batch_is_due_at_once_and_the_next_waits_again() -> None:
    batch = batch_of("a")
    batch.flush_now()
    assert batch.is_due(0.0)
    batch.remove(1)
    batch.flush_now()
    assert not batch.is_due(0.0)
    batch.add(["b"], 0.0)
    assert not batch.is_due(0.5)
