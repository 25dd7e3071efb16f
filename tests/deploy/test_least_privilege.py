"""The service at work as exactly the users that `redis.acl` and `roles.sql` make."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis

from conductor_actors.adapters.embedded.server_process import free_port
from conductor_actors.adapters.postgres.migrations import migrate
from tests.deploy.conftest import UserUrl, valkey
from tests.support.event_samples import CHAT
from tests.support.programs import QUICK, Program, run_to_end, running

pytestmark = pytest.mark.e2e


def chat(number: int) -> bytes:
    return json.dumps(
        {"sessionId": "room", "message": {"id": f"{number}", "authorId": "u"}}
    ).encode()


def send(redis_user: UserUrl) -> None:
    """Send events of two tenants in both transports, and one that is none."""
    with redis.Redis.from_url(redis_user("producer")) as producer:
        producer.xadd(CHAT, {"data": chat(1)})
        producer.xadd(CHAT, {"data": b"none"})
        producer.publish(CHAT, chat(2))
    with redis.Redis.from_url(redis_user("acme-producer")) as producer:
        producer.xadd(f"acme:{CHAT}", {"data": chat(1)})
        producer.publish(f"acme:{CHAT}", chat(2))


@pytest.fixture
def redis_user(tmp_path: Path) -> Iterator[UserUrl]:
    with valkey(tmp_path) as user:
        yield user


def end(program: Program) -> None:
    program.signal(signal.SIGTERM)
    assert program.finish().exit_code == 0


def test_events_become_rows_and_updates_without_a_right_too_many(
    redis_user: UserUrl, database_user: UserUrl, tmp_path: Path
) -> None:
    migrate(database_user("conductor_owner"))
    port = free_port()
    collector = QUICK | {
        "REDIS_URL": redis_user("collector"),
        "DATABASE_URL": database_user("conductor_writer"),
        "CONDUCTOR_TENANTS": "*",
        "CONDUCTOR_METRICS_PORT": f"{port}",
    }
    dashboard = QUICK | {
        "REDIS_URL": redis_user("dashboard"),
        "DATABASE_URL": database_user("conductor_reader"),
        "CONDUCTOR_HTTP_PORT": "0",
        "CONDUCTOR_METRICS_PORT": "0",
    }
    with (
        running("collect", cwd=tmp_path, **collector) as collecting,
        running("dashboard", cwd=tmp_path, **dashboard) as showing,
    ):
        collecting.wait_for("service_started")
        address = showing.wait_for("dashboard_started")["address"]
        send(redis_user)
        collecting.wait_for("events_invalid")
        collecting.wait_for("tick_completed", sessions=2)
        collecting.wait_for("batch_written")
        inspector = {"REDIS_URL": redis_user("inspector")}
        answer = run_to_end("inspect", "session", "acme/room", "--json", cwd=tmp_path, **inspector)
        assert httpx.get(f"{address}ready").status_code == 200
        assert httpx.get(f"http://127.0.0.1:{port}/ready").status_code == 200
        measured = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        end(collecting)
        found = httpx.get(f"{address}api/v1/sessions/room/history").json()
        end(showing)
    assert "conductor_owner 1.0" in measured
    assert 'conductor_events_total{result="invalid"} 1.0' in measured
    assert found["points"]
    assert answer.exit_code == 0, answer.stderr
    for program in (collecting, showing):
        assert [line for line in program.lines if line["level"] == "error"] == []
        assert "outage_began" not in {line["event"] for line in program.lines}
    with psycopg.connect(database_user("conductor_reader")) as reader:
        tenants = reader.execute("SELECT DISTINCT tenant_id FROM engagement_metrics ORDER BY 1")
        assert tenants.fetchall() == [("acme",), ("default",)]
    with redis.Redis.from_url(redis_user("inspector")) as inspector:
        assert len(inspector.xrange("conductor:dead-letters")) == 1
