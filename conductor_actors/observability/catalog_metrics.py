"""The metrics of the catalog: sessions that are over, and titles."""

from conductor_actors import log_events as events
from conductor_actors.log_events import LogEvent
from conductor_actors.observability.series import SeriesFactory


class CatalogMetrics:
    """The sessions that ended and the titles that were received."""

    def __init__(self, make: SeriesFactory) -> None:
        self._summarised = make.counter(
            "sessions_summarised", "Sessions that ended and whose figures were stored."
        )
        self._lost = make.counter(
            "sessions_lost", "Sessions that were ended without their last row."
        )
        self._titles = make.counter("titles", "Titles from events, by result.", "result")
        for result in ("stored", "set_aside", "refused"):
            self._titles.labels(result)

    def observe(self, event: LogEvent) -> None:
        """Count what the event reports, if it concerns these series."""
        match event:
            case events.SessionsSummarised():
                self._summarised.inc(event.sessions)
            case events.LostSessionsEnded():
                self._lost.inc(event.sessions)
            case events.TitlesStored():
                self._titles.labels("stored").inc(event.titles)
            case events.TitlesSetAside():
                self._titles.labels("set_aside").inc(event.titles)
            case events.TitlesRefused():
                self._titles.labels("refused").inc(event.titles)
