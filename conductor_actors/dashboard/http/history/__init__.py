"""The HTTP API of what is read afterwards: lists, timelines, events, reports and exports."""
