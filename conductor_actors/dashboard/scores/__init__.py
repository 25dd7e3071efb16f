"""The scores to show: published ones as they arrive, and stored ones.

```
upstreams ──▶ live_sessions (the newest update and the last five minutes of each)
        └───▶ recent_history (joins both: five minutes without a gap)
```
"""
