"""Live updates by Socket.IO.

```
updates ──▶ fan_out ──▶ broadcast ──▶ connections ──▶ clients
                            ▲
       clients' requests ── socketio
```
"""
