"""The `demo` command: simulated sessions, and their scores on the terminal, the lowest first.

    background ──▶ simulate.feed ──▶ Redis ──▶ service ──▶ Redis ──▶ screen ──▶ board, score_table

`environment` chooses the log file and the ports, `background` runs the simulation and the screen
beside the service, `screen` reads updates and shows them, `board` holds the newest ones, and
`score_table` draws them.
"""
