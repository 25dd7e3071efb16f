"""Live updates by Socket.IO.

```
updates ──▶ fan_out ──▶ broadcast ──▶ connections ──▶ socket_server ──▶ clients
                            ▲                               │
                            └─────── client_requests ◀──────┘
```
"""
