"""HTTP: sends signed events to webhooks."""
