"""Telling people and programs what happens to approvals: mail and webhooks."""
