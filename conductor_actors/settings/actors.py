"""Settings of the actors."""

from pydantic import BaseModel, Field


class ActorSettings(BaseModel):
    """Mailboxes, threads and the quarantine."""

    mailbox_limit: int = Field(
        default=100_000,
        gt=0,
        le=10_000_000,
        description="Messages that may wait in a mailbox. Beyond it, reading pauses (streams) or "
        "drops events (pub/sub).",
    )
    dispatcher_threads: int = Field(
        default=1, gt=0, le=64, description="Number of threads that run the sessions."
    )
    quarantine_s: float = Field(
        default=300.0, gt=0, le=86400, description="Length of a quarantine in seconds."
    )
