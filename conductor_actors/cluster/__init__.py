"""Several hosts on several machines share the partitions of the sessions, with Ray.

Ray starts and watches processes on every node; no event passes through it.

    Coordinator (one) ──starts, drains──▶ Host (one a core) ──runs──▶ PartitionCollector (several)
         └──────────────creates─────────▶ Splitter (one)

This is the only package that imports Ray.
"""
