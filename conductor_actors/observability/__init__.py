"""How the service reports on itself: log lines, metrics, health and readiness."""
