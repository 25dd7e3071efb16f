"""Which collector sends to webhooks."""

from contextlib import ExitStack

import pytest

from conductor_actors.adapters.postgres.deliveries_table import no_webhook
from conductor_actors.app.deliveries import has_webhook, open_deliveries
from conductor_actors.domain.partitions.partition import all_partitions
from tests.app.collector_run import make_settings
from tests.support.webhook_receiver import SECRET

URL = "https://example.com/hook"
AWAY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def _has_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_URL", URL)
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_SECRET", SECRET)


@pytest.mark.parametrize(
    ("databases", "senders"), [("", [0]), ("postgresql://a,postgresql://b", [0, 1])]
)
def test_of_the_partitions_of_a_database_the_first_sends(
    monkeypatch: pytest.MonkeyPatch, databases: str, senders: list[int]
) -> None:
    monkeypatch.setenv("CONDUCTOR_PARTITION_DATABASE_URLS", databases)
    with ExitStack() as to_close:
        opened = [
            open_deliveries(make_settings(), AWAY, to_close, each) for each in all_partitions(4)
        ]
        assert [number for number, each in enumerate(opened) if each is not None] == senders
        assert open_deliveries(make_settings(), AWAY, to_close) is not None


def test_every_collector_enqueues() -> None:
    assert has_webhook(make_settings())("default")


def test_without_a_webhook_rows_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDUCTOR_WEBHOOK_URL")
    monkeypatch.delenv("CONDUCTOR_WEBHOOK_SECRET")
    assert has_webhook(make_settings()) is no_webhook
    with ExitStack() as to_close:
        assert open_deliveries(make_settings(), AWAY, to_close) is None
