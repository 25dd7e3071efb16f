"""Settings of the log."""

from typing import Literal

from pydantic import BaseModel, Field


class LogSettings(BaseModel):
    """What is logged, where, and how."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level of lines to log."
    )
    log_format: Literal["auto", "json", "text"] = Field(
        default="auto", description="auto: text on a terminal, else JSON."
    )
    log_stream: bool = Field(
        default=True,
        description="Keep the newest 10,000 log lines in the Redis stream `conductor:log` for "
        "`inspect`.",
    )

    def trace_destination(self) -> Literal["stream", "stdout", "none"]:
        """Return where the lines of a trace, whose level is info, are written."""
        if self.log_level not in ("debug", "info"):
            return "none"
        return "stream" if self.log_stream else "stdout"
