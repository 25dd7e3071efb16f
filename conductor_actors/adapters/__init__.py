"""How the outside world is reached: every port of `ports.py`, made real."""
