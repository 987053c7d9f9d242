"""The typed client over any backend, and the app that opens one."""
