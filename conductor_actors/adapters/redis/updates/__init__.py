"""Updates out: published by the collector, and read or subscribed to by the dashboard."""
