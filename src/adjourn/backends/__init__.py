"""Where instances run: in this process (embedded), or behind a server (http)."""
