"""Who comes in: sign-in, sessions, keys, links, and what each may reach."""
