"""Where instances live: one SQLite file."""
