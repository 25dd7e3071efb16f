"""A lease in memory."""


class MemoryLease:
    """Count the calls in `renewals`. While `refusal` is set, every call raises it."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.renewals = 0
        self.released = False

    def acquire_or_renew(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.renewals += 1

    def release(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.released = True
