"""Anomalies: what the detector of a session reports, and how it decides."""
