"""The dashboard's ports to the rows of partitions that are in several databases.

What is read of a session comes from the database of its partition. What is read of several sessions
is asked of each database, and put together; where that can't be done, `Unsupported` is raised.
"""
