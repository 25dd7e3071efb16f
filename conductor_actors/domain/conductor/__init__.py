"""The conductor: what it does about anomalies, and what that changed."""
