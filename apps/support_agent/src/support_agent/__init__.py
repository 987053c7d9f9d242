"""The support agent: an application on Adjourn's public surface.

A customer asks for money back, a person decides within seven days, the money moves once.
Start reading at `workflow.py`.
"""
