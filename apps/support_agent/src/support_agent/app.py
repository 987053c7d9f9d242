"""The application: every workflow of the support agent is registered on it.

`adjourn run support_agent.case:app` serves the cases alone; `python -m support_agent.serve` serves
everything, with the pages.
"""

from adjourn import Adjourn

app = Adjourn()
