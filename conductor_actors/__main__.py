"""`python -m conductor_actors`."""

from conductor_actors.cli import main

if __name__ == "__main__":
    main()
