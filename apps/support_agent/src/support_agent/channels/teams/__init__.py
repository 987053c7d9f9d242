"""Microsoft Teams as a channel: customers and supervisors where they already are.

Importing this package needs nothing but the support agent; `sdk` needs the extra `teams`.
"""
