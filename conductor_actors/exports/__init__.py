"""Exports of stored rows: tables and columns, formats, and the port that reads the pages.

The HTTP API and the command `export` use the same definitions, so their files are the same.
"""
