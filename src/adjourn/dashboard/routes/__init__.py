"""One module for each noun of the dashboard."""
