"""What the templates show: pure functions from what the client tells, to words."""
