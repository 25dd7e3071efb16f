import time
from collections.abc import Iterator

import pytest

from conductor_actors.dashboard.bodies import at_ms
from tests.support.score_rows import AT_MS


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "FAR-12:45")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_a_published_time_without_a_zone_is_utc_wherever_the_dashboard_runs(zone: str) -> None:
    assert at_ms(f"2026-01-04T12:00:00.000{zone}") == AT_MS
