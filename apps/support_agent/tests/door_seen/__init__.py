"""The way in from the shop, in a real browser."""
