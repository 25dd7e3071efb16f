import pytest

from conductor_actors.adapters.redis.ownership.checkpoint_errors import mapped_checkpoint_errors
from conductor_actors.domain.checkpoints.encoding import (
    CheckpointError,
    FormatError,
    UnreadableHeaderError,
    UnreadableStateError,
    WindowMismatchError,
)
from conductor_actors.errors import ConfigError


@pytest.mark.parametrize(
    ("error", "what", "way_out"),
    [
        (
            WindowMismatchError(found_s=60, wanted_s=30),
            "CONDUCTOR_WINDOW_S=30: the checkpoint has windows of 60 s; ",
            "set CONDUCTOR_WINDOW_S=60, or ",
        ),
        (
            FormatError(2),
            "REDIS_URL: the checkpoint in conductor:checkpoint is of format 2, ",
            "run the version that wrote it, or ",
        ),
        (UnreadableHeaderError(), "REDIS_URL: conductor:checkpoint can't be read; ", ""),
        (UnreadableStateError(), "REDIS_URL: conductor:checkpoint:sessions can't be read; ", ""),
    ],
)
def test_an_operator_is_told_the_ways_out_in_one_line(
    error: CheckpointError, what: str, way_out: str
) -> None:
    with pytest.raises(ConfigError) as caught, mapped_checkpoint_errors():
        raise error
    text = str(caught.value)
    assert text.startswith(what)
    assert f"{way_out}delete conductor:checkpoint and conductor:checkpoint:sessions in" in text
    assert "\n" not in text
