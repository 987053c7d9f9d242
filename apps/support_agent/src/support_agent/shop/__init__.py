"""The shop's own records: customers, orders, cases, refunds. Nothing here knows Adjourn."""
