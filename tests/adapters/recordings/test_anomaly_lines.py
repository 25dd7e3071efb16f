"""Anomalies as JSON lines, read back as any program reads them."""

import io
import json

from conductor_actors.adapters.recordings.anomaly_lines import AnomalyLines
from conductor_actors.wire.anomaly_messages import anomaly_messages_of, encode_anomaly_message
from tests.support.score_rows import AT_MS, began, ended, row

BEGIN = row("é\n", anomalies=(began(),))
END = row("é\n", AT_MS + 65_000, anomalies=(ended(), began("2")))


def test_a_line_is_what_is_published_with_its_name() -> None:
    file = io.StringIO()
    lines = AnomalyLines(file)
    lines.write([row(), BEGIN])
    lines.write([END])
    found = [json.loads(line) for line in file.getvalue().splitlines()]
    assert [next(iter(line.items())) for line in found] == [
        ("name", "anomaly:detected"),
        ("name", "anomaly:ended"),
        ("name", "anomaly:detected"),
    ]
    assert [{key: line[key] for key in line if key != "name"} for line in found] == [
        json.loads(encode_anomaly_message(message))
        for each in (BEGIN, END)
        for message in anomaly_messages_of(each)
    ]


def test_rows_without_anomalies_write_nothing() -> None:
    file = io.StringIO()
    AnomalyLines(file).write([row()])
    assert not file.getvalue()
