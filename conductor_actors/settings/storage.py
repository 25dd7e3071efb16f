"""Settings of what is stored: rows and checkpoints."""

from pydantic import BaseModel, Field


class StorageSettings(BaseModel):
    """How rows and checkpoints are written, and how long rows are kept."""

    batch_rows: int = Field(
        default=5000, gt=0, le=1_000_000, description="Write rows when this many wait."
    )
    batch_age_s: float = Field(
        default=0.5,
        gt=0,
        le=60,
        description="Write rows when the first has waited for this many seconds.",
    )
    outbox_after_rows: int = Field(
        default=20_000,
        gt=0,
        le=10_000_000,
        description="Rows kept in memory while the database is unavailable. Further rows are "
        "spilled to the stream `conductor:outbox`.",
    )
    retention_days: float = Field(
        default=0.0,
        ge=0,
        le=36500,
        examples=["90"],
        description="Drop rows older than this many days. 0: keep all.",
    )
    checkpoint_s: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="Seconds between checkpoints, and thus how much is computed again after a "
        "crash.",
    )
