"""One loop with four verbs, take, decide, commit, publish, on the thread that owns the store."""
