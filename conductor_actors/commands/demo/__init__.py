"""The `demo` command: simulated sessions, and their scores on the terminal, the lowest first.

    background ──▶ simulate.feed ──▶ Redis ──▶ service ──▶ Redis ──▶ screen ──▶ board, score_table

`environment` chooses the log file and the ports. `background` adds the last minutes before the
service starts, and runs the simulation and the screen beside it. `screen` reads updates,
anomalies and decisions and shows them, `board` holds the newest ones, `score_table` draws them, and
`news_lines` writes each as a line where there is no terminal.
"""
