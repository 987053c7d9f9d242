"""What comes in from Microsoft Teams, over HTTP on loopback, with keys and tokens of our own."""
