"""The versions of the records' schema, each with the way from the one before it.

`support_agent.shop.schema` walks it whenever a database is opened. A version that was released is
never edited: a change of the records is a new file here.
"""
