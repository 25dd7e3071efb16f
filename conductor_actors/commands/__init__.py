"""What each command does; `cli.py` has the options."""
