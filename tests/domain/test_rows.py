from conductor_actors.domain.rows import COLUMNS, SIGNAL_COLUMNS, VALUE_TYPES, record_of
from tests.support.score_rows import AT_MS, SIGNALS, row


def test_the_columns_end_with_the_signals_in_their_order() -> None:
    assert COLUMNS[-len(SIGNAL_COLUMNS) :] == SIGNAL_COLUMNS
    assert [*VALUE_TYPES] == [*COLUMNS[1:]]


def test_a_row_is_laid_out_by_the_names_of_its_columns() -> None:
    record = record_of(row("keynote", tenant_id="acme", event_id="summit"), "noon")
    assert (record.time, record.key) == ("noon", ("acme", "keynote"))
    assert (record.event_id, record.engagement_score, record.category) == ("summit", 0.6018, "HIGH")
    assert all(getattr(record, name) == getattr(SIGNALS, name) for name in SIGNAL_COLUMNS)
    assert all(isinstance(getattr(record, name), kind) for name, kind in VALUE_TYPES.items())


def test_records_sort_by_their_tick_first() -> None:
    later, earlier = row("a", AT_MS + 5000), row("b", AT_MS)
    records = [record_of(each, each.at_ms) for each in (later, earlier)]
    assert sorted(records) == records[::-1]
