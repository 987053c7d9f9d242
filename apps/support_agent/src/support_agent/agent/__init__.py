"""The agent: what it may do, which model it speaks through, and what keeps both in bounds.

Start reading at `tools.py`: the six things the agent can do. `build.py` makes the agent of them,
`answering.py` has it answer one message, and `offline.py` is the model that needs no key.
"""
