"""The dashboard. It reads through two ports only, so any number can run, in any process.

```
clients ──▶ server ──▶ access ──┬──▶ http ──────┬──▶ scores ──▶ UpdateSubscriber, HistoryReader
                                └──▶ realtime ──┘
```

`app` creates and connects all parts, `bodies` are the JSON for clients, and `static` is the page.
Everything but `Dashboard` runs on one event loop, so nothing here takes a lock.
"""
