"""Which collector sends to webhooks."""

from contextlib import ExitStack

import pytest

from conductor_actors.adapters.postgres.deliveries_table import no_webhook
from conductor_actors.app.deliveries import has_webhook, open_deliveries
from tests.app.collector_run import make_settings
from tests.support.webhook_receiver import SECRET

URL = "https://example.com/hook"
AWAY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.fixture(autouse=True)
def _has_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_URL", URL)
    monkeypatch.setenv("CONDUCTOR_WEBHOOK_SECRET", SECRET)


@pytest.mark.parametrize(("shard", "sends"), [(None, True), ("0/3", True), ("1/3", False)])
def test_of_several_collectors_the_first_sends(
    monkeypatch: pytest.MonkeyPatch, shard: str | None, sends: bool
) -> None:
    if shard is not None:
        monkeypatch.setenv("CONDUCTOR_SHARD", shard)
    with ExitStack() as to_close:
        assert (open_deliveries(make_settings(), AWAY, to_close) is not None) == sends


def test_every_collector_enqueues(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDUCTOR_SHARD", "1/3")
    assert has_webhook(make_settings())("default")


def test_without_a_webhook_rows_are_not_even_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDUCTOR_WEBHOOK_URL")
    monkeypatch.delenv("CONDUCTOR_WEBHOOK_SECRET")
    assert has_webhook(make_settings()) is no_webhook
    with ExitStack() as to_close:
        assert open_deliveries(make_settings(), AWAY, to_close) is None
