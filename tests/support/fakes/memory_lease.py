"""A lease in memory."""


class MemoryLease:
    """Hold it, unless `refusal` is set: then that is raised."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.holds = 0
        self.released = False

    def hold(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.holds += 1

    def release(self) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.released = True
