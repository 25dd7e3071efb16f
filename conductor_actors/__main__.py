"""`python -m conductor_actors`, and the program `conductor-actors`."""

import sys

if sys.platform == "win32":
    sys.stderr.write("conductor_actors: Windows is not supported; use WSL or a container\n")
    sys.exit(2)

from conductor_actors.cli import main

if __name__ == "__main__":
    main()
