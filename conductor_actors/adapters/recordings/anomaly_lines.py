"""Write anomalies as JSON lines: what is published of them, with its name as the key `name`."""

from collections.abc import Sequence
from typing import Final, TextIO

from conductor_actors.domain.scoring import ScoreRow
from conductor_actors.ports import ANOMALIES, ANOMALIES_ENDED
from conductor_actors.wire.anomaly_messages import (
    Anomaly,
    anomaly_messages_of,
    encode_anomaly_message,
)

_BEGIN_OF_LINE: Final = '{{"name":"{}",'


class AnomalyLines:
    """Write what begins and what ends with rows to a file, one object a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, rows: Sequence[ScoreRow]) -> None:
        """Write the anomalies of the rows, in their order."""
        for row in rows:
            for message in anomaly_messages_of(row):
                name = ANOMALIES if isinstance(message, Anomaly) else ANOMALIES_ENDED
                body = encode_anomaly_message(message).decode()
                self._file.write(f"{_BEGIN_OF_LINE.format(name)}{body[1:]}\n")
