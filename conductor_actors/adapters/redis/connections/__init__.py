"""Connections to the primary: how they are opened, checked and used, and how they fail."""
