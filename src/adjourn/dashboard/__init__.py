"""The supervisor's dashboard: pages over `client.approvals`, made on the server."""

from adjourn.dashboard.app import create_dashboard

__all__ = ["create_dashboard"]
