"""`replay --against`: which rows are compared, which are not and why, and how it ends."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from conductor_actors.adapters.postgres.row_store import PostgresRowStore
from conductor_actors.commands import verify
from conductor_actors.commands.recording import open_recording
from conductor_actors.commands.replay import Outputs, replay_to_database, replay_to_files
from conductor_actors.domain.comparisons.row_comparison import Comparison
from conductor_actors.errors import ConfigError
from conductor_actors.settings import Settings
from tests.domain.test_contract import SAMPLE
from tests.support.databases import migrated_database
from tests.support.event_samples import LIVE, REACTION
from tests.support.interventions import intervention
from tests.support.programs import Completed, run_to_end
from tests.support.recorded_talk import Talk
from tests.support.score_rows import AT_MS, began, row

EVENTS, EXPECTED = str(SAMPLE / "events.jsonl"), str(SAMPLE / "expected.csv")
AFTER_ALL = ("--to", "2026-01-04T12:02")
SESSION = "6513270e-269e-4d37-b2a7-4de452e6b438"
EQUAL_ROWS = "compared    31\nmissing     0\ndifferent   0\nunexpected  0\n"
EQUAL_ANOMALIES = "anomalies   0 compared, 0 missing, 0 different, 0 unexpected\n"
EQUAL_INTERVENTIONS = "interventions 0 compared, 0 missing, 0 different, 0 unexpected\n"
EQUAL = EQUAL_ROWS + EQUAL_ANOMALIES + EQUAL_INTERVENTIONS


@pytest.fixture
def migrated_url(postgres_url: str) -> Iterator[str]:
    with migrated_database(postgres_url) as url:
        yield url


@pytest.fixture
def url(migrated_url: str) -> str:
    """Give a database that has the sample's rows."""
    with open_recording(EVENTS, Settings(), "-", "+") as recording:
        replay_to_database(recording, Settings(), migrated_url)
    return migrated_url


def against_database(url: str, cwd: Path, *options: str) -> Completed:
    arguments = ("replay", EVENTS, "--against", "database", *options)
    return run_to_end(*arguments, cwd=cwd, DATABASE_URL=url)


def test_a_database_that_has_the_rows_is_equal_and_is_left_as_it_was(
    url: str, tmp_path: Path
) -> None:
    ended = against_database(url, tmp_path, *AFTER_ALL)
    assert (ended.exit_code, ended.stdout) == (0, EQUAL)
    assert "not compared" not in ended.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM engagement_metrics").fetchone() == (31,)


def test_what_is_missing_different_and_unexpected_is_counted_and_the_first_is_shown(
    url: str, tmp_path: Path
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            """
            UPDATE engagement_metrics SET metadata = '{"gap": true}';
            UPDATE engagement_metrics
            SET user_leave_rate = '-0', event_id = E'\\x1b[31m'
            WHERE time = '2026-01-04T12:00:10Z';
            DELETE FROM engagement_metrics WHERE time = '2026-01-04T12:00:15Z';
            INSERT INTO engagement_metrics
            SELECT time + interval '1 s', tenant_id, session_id, 'e', 0, 'LOW', 0, 0, 0, 0, 0, 0
            FROM engagement_metrics WHERE time = '2026-01-04T12:00:20Z'
            """
        )
    ended = against_database(url, tmp_path, *AFTER_ALL)
    assert ended.exit_code == 1
    assert ended.stdout.splitlines() == [
        "compared    30",
        "missing     1",
        "different   1",
        "unexpected  2",
        EQUAL_ANOMALIES.rstrip(),
        EQUAL_INTERVENTIONS.rstrip(),
        f"first difference: session default/{SESSION}, tick 2026-01-04T12:00:10Z",
        "  column              stored                    replayed",
        "  event_id            \\x1b[31m                  d23f0824-128b-4f33-8c5c-7fd0a6a3a450",
        "  user_leave_rate     -0.0                      0.0",
    ]


def test_a_row_that_one_side_lacks_is_shown_from_the_other_side(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM engagement_metrics WHERE time = '2026-01-04T12:00:05Z'")
    ended = against_database(url, tmp_path, *AFTER_ALL)
    assert ended.exit_code == 1
    assert "  engagement_score    (no row)                  0.3866021492181718\n" in ended.stdout


def test_a_stored_anomaly_that_the_replay_does_not_find_is_shown(url: str, tmp_path: Path) -> None:
    at_ms = AT_MS + 10_000
    anomaly = row(SESSION, at_ms, anomalies=(began(),))
    with closing(PostgresRowStore(url)) as store:
        store.write([anomaly])
    ended = against_database(url, tmp_path, *AFTER_ALL)
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert lines[:7] == [
        *EQUAL_ROWS.splitlines(),
        "anomalies   0 compared, 0 missing, 0 different, 1 unexpected",
        EQUAL_INTERVENTIONS.rstrip(),
        f"first difference of anomalies: session default/{SESSION}, tick 2026-01-04T12:00:10Z",
    ]
    assert "  severity            CRITICAL                  (no anomaly)" in lines


def test_a_stored_intervention_that_the_replay_does_not_decide_is_shown(
    url: str, tmp_path: Path
) -> None:
    at_ms = AT_MS + 10_000
    with closing(PostgresRowStore(url)) as store:
        store.write([row(SESSION, at_ms, interventions=(intervention(at_ms=at_ms),))])
    ended = against_database(url, tmp_path, *AFTER_ALL)
    assert ended.exit_code == 1
    lines = ended.stdout.splitlines()
    assert lines[5:7] == [
        "interventions 0 compared, 0 missing, 0 different, 1 unexpected",
        f"first difference of interventions: session default/{SESSION}, tick 2026-01-04T12:00:10Z",
    ]
    assert "  status              APPROVED                  (no intervention)" in lines


def test_a_replay_stores_the_anomalies_that_it_writes_as_json_lines(
    migrated_url: str, tmp_path: Path
) -> None:
    talk = tmp_path / "talk.jsonl"
    talk.write_text(
        "".join(
            f'{{"id":"{AT_MS + round(at_s * 1000)}-{number}","name":"{name}","data":{body}}}\n'
            for number, (at_s, name, body) in enumerate(Talk(sessions=1, minutes=9).events())
        )
    )

    def replay(*options: str) -> Completed:
        return run_to_end("replay", "talk.jsonl", *options, cwd=tmp_path, DATABASE_URL=migrated_url)

    written = [json.loads(line) for line in replay("--anomalies", "-").stdout.splitlines()]
    begun = [line for line in written if line["name"] == "anomaly:detected"]
    over = [line for line in written if line["name"] == "anomaly:ended"]
    assert over
    assert [line["id"] for line in begun[: len(over)]] == [line["id"] for line in over]
    for _ in range(2):
        assert replay().exit_code == 0
    with psycopg.connect(migrated_url) as connection:
        stored = connection.execute("SELECT id::text FROM anomalies ORDER BY timestamp").fetchall()
        decided = connection.execute("SELECT FROM interventions").rowcount
    assert [one for (one,) in stored] == [line["id"] for line in begun]
    ended = replay("--against", "database")
    assert ended.exit_code == 0
    assert f"anomalies   {len(begun)} compared, 0 missing, 0 different, 0 " in ended.stdout
    assert decided
    assert f"interventions {decided} compared, 0 missing, 0 different, 0 " in ended.stdout


def test_the_last_tick_is_not_compared_unless_the_recording_goes_past_it(
    url: str, tmp_path: Path
) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM engagement_metrics WHERE time = '2026-01-04T12:01:25Z'")
    ended = against_database(url, tmp_path)
    assert (ended.exit_code, ended.stdout) == (0, EQUAL.replace("31", "29"))
    assert "not compared: 2 rows after 2026-01-04T12:01:23.100000Z: " in ended.stderr
    assert against_database(url, tmp_path, *AFTER_ALL).exit_code == 1


def test_a_csv_file_can_be_compared_with_too(tmp_path: Path) -> None:
    same = run_to_end("replay", EVENTS, "--against", EXPECTED, *AFTER_ALL, cwd=tmp_path)
    assert (same.exit_code, same.stdout) == (0, EQUAL_ROWS)
    (tmp_path / "other.csv").write_text(Path(EXPECTED).read_text().replace(",6,6,", ",5,6,", 1))
    other = run_to_end("replay", EVENTS, "--against", "other.csv", *AFTER_ALL, cwd=tmp_path)
    assert other.exit_code == 1
    assert other.stdout.endswith("  active_users        5                         6\n")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--against", EXPECTED, "--csv", "-"], ["--csv", "--against", "choose one"]),
        (["--against", EXPECTED, "--anomalies", "-"], ["--anomalies and --against: choose one"]),
        (["--against", "nothing.csv"], ["nothing.csv", "No such file"]),
        (["--against", EVENTS], ["events.jsonl", "first line is not time,tenant_id"]),
        (
            ["--against", EXPECTED, "--from", "2026-01-04T12:00"],
            ["no row can be compared", "earlier"],
        ),
    ],
)
def test_a_comparison_that_is_impossible_ends_with_2_and_one_line(
    options: list[str], parts: list[str], tmp_path: Path
) -> None:
    ended = run_to_end("replay", EVENTS, *options, cwd=tmp_path)
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert all(part in ended.stderr.splitlines()[-1] for part in parts)


SETTINGS: dict[str, Any] = {
    "window_s": 10,
    "session_timeout_s": 30,
    "presence_timeout_s": 30,
    "start": "earliest",
}


def line(at_s: float, name: str, **body: str) -> bytes:
    record = {"id": f"{AT_MS + round(at_s * 1000)}-0", "name": name, "data": body}
    return json.dumps(record).encode() + b"\n"


@pytest.fixture
def evening(tmp_path: Path) -> Path:
    """Write two sessions that run all the time, one of them with a guest who stays quiet."""
    path = tmp_path / "evening.jsonl"
    lines = [line(1, LIVE, type="user_join", sessionId="long", userId="quiet")]
    lines += [line(second, REACTION, sessionId="long", userId="u") for second in range(2, 120, 3)]
    lines += [line(second, REACTION, sessionId="late", userId="v") for second in range(60, 120, 3)]
    path.write_bytes(b"".join(sorted(lines)))
    return path


def compared(path: Path, stored: Path, first: str, *, cold_start: bool = False) -> Comparison:
    settings = Settings(**SETTINGS)
    with open_recording(str(path), settings, first, "+") as recording:
        rows = verify.read_csv_rows(recording, str(stored))
        return verify.compare(recording, settings, rows, cold_start=cold_start).rows


def scored(path: Path, first: str = "-") -> Path:
    settings, stored = Settings(**SETTINGS), path.with_suffix(f".{first[:4]}.csv")
    with open_recording(str(path), settings, first, "+") as recording:
        replay_to_files(recording, settings, Outputs(csv=str(stored)))
    return stored


def test_from_the_middle_only_sessions_that_began_after_the_timeout_are_compared(
    evening: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The replay can't know of the guest, so it would judge `long` otherwise."""
    found = compared(evening, scored(evening), str(AT_MS + 20_000))
    assert found.is_equal
    assert found.compared == 11  # `late`, from 65 s to 115 s
    assert (found.uncovered.before_coverage, found.uncovered.older_sessions) == (6, 13)
    errors = capsys.readouterr().err
    assert "not compared: 6 rows before 2026-01-04T12:00:55Z: they may depend on " in errors
    assert "not compared: 13 rows of sessions that were active before 2026-01-04T12:00:5" in errors


def test_after_a_cold_start_every_row_is_compared_from_one_window_on(evening: Path) -> None:
    first = str(AT_MS + 20_000)
    stored = scored(evening, first)
    found = compared(evening, stored, first, cold_start=True)
    assert (found.is_equal, found.compared, found.uncovered.before_coverage) == (True, 29, 1)
    wrong = compared(evening, scored(evening), first, cold_start=True)
    assert (wrong.compared, wrong.different) == (29, 18)  # `long`, because of the guest


def test_stored_rows_of_sessions_that_are_not_in_the_recording_are_counted_and_no_difference(
    evening: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = scored(evening)
    alone = evening.with_name("alone.jsonl")
    texts = evening.read_text().splitlines()
    alone.write_text("\n".join(text for text in texts if '"long"' in text))
    assert compared(alone, stored, "-").is_equal
    assert "not compared: 11 stored rows of sessions that are not in the recording" in (
        capsys.readouterr().err
    )


def test_streams_are_compared_up_to_now_and_trimmed_ones_from_where_they_begin(
    evening: Path,
    redis_client: redis.Redis,
    valkey_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for text in evening.read_text().splitlines():
        entry = json.loads(text)
        redis_client.xadd(entry["name"], {"data": json.dumps(entry["data"])}, id=entry["id"])
    stored = scored(evening)
    settings = Settings(**SETTINGS)

    def found() -> Comparison:
        with open_recording(valkey_url, settings, "-", "+") as recording:
            rows = verify.read_csv_rows(recording, str(stored))
            return verify.compare(recording, settings, rows, cold_start=False).rows

    whole = found()
    assert (whole.is_equal, whole.compared, whole.uncovered.total()) == (True, 36, 0)
    redis_client.xtrim(LIVE, 0)
    redis_client.xtrim(REACTION, minid=AT_MS + 20_000, approximate=False)
    trimmed = found()
    assert (trimmed.is_equal, trimmed.compared) == (True, 12)
    errors = capsys.readouterr().err
    assert "the streams were trimmed: entries before 2026-01-04T12:00:20Z are missing" in errors


def test_entries_with_ids_in_the_future_are_not_compared(
    redis_client: redis.Redis, valkey_url: str
) -> None:
    """Redis gives ids of the future when its clock was set back."""
    client: Any = redis_client  # redis-py types its answers as either client's
    now_ms = client.time()[0] * 1000
    for at_ms in (now_ms - 20_000, now_ms + 600_000):
        redis_client.xadd(REACTION, {"data": '{"sessionId":"s"}'}, id=f"{at_ms}-0")
    with open_recording(valkey_url, Settings(), "-", str(now_ms + 500_000)) as recording:
        assert now_ms <= recording.until_ms < now_ms + 500_000
    with open_recording(valkey_url, Settings(), "-", str(now_ms - 10_000)) as recording:
        assert recording.until_ms == now_ms - 9_999
    with open_recording(valkey_url, Settings(), "-", f"{now_ms - 10_000}-5") as recording:
        assert recording.until_ms == now_ms - 10_000


def test_a_stream_that_was_trimmed_meanwhile_is_reported_even_if_the_command_fails(
    redis_client: redis.Redis, valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 1500):
        redis_client.xadd(REACTION, {"data": '{"sessionId":"s"}'}, id=f"{AT_MS + number}-0")

    def trim_and_fail() -> None:
        with open_recording(valkey_url, Settings(), "-", "+") as recording:
            for _ in recording.chunks:
                redis_client.xtrim(REACTION, 0, approximate=False)
            raise ConfigError

    with pytest.raises(ConfigError):
        trim_and_fail()
    expected = f"{REACTION} was trimmed while it was read: entries may be missing\n"
    assert capsys.readouterr().err == expected


def test_a_recording_without_rows_is_not_equal_to_anything(evening: Path) -> None:
    nothing = evening.with_name("nothing.jsonl")
    nothing.write_bytes(b"")
    with pytest.raises(ConfigError, match="no row can be compared"):
        compared(nothing, scored(evening), "-")


def test_the_batches_of_a_replay_are_all_written(
    evening: Path, postgres_url: str, fresh_database: Callable[[str], str]
) -> None:
    url = fresh_database(postgres_url)
    settings = Settings(**SETTINGS | {"batch_rows": 2})
    with open_recording(str(evening), settings, "-", "+") as recording:
        replay_to_database(recording, settings, url)
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM engagement_metrics").fetchone() == (36,)


def test_every_row_that_the_database_refuses_is_reported(
    evening: Path, migrated_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute("ALTER TABLE engagement_metrics ADD CHECK (session_id <> 'late')")
    with open_recording(str(evening), Settings(**SETTINGS), "-", "+") as recording:
        replay_to_database(recording, Settings(**SETTINGS), migrated_url)
    assert capsys.readouterr().err.count("refused: default/late: ") == 12
