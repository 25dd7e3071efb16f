"""`migrate`: create or update the tables in the database."""

import sys

import typer

from conductor_actors.adapters.postgres import migrations
from conductor_actors.app.startup import configure, open_servers


def migrate_database() -> None:
    """Apply the migrations that are missing, and print each."""
    settings = configure(sys.stderr)
    with open_servers(settings, redis=False) as urls:
        applied = migrations.migrate(urls.database)
    for name in applied:
        typer.echo(f"applied {name}")
    typer.echo("the tables are up to date")
