"""What holds after every test of the domain."""

from collections.abc import Iterator

import pytest

from conductor_actors.domain.session_state import NO_POLLS
from conductor_actors.domain.windows import NO_TIMES, empty_counts


@pytest.fixture(autouse=True)
def _what_all_share_stays_empty() -> Iterator[None]:
    yield
    assert (NO_TIMES, NO_POLLS, empty_counts(60).counts) == ({}, {}, None)
