"""Metrics for Prometheus, read from the database when they are asked for.

catalogue   every metric there is: name, kind, labels, meaning
collector   reads them, in a few statements of bounded time
exposition  writes them in the format that was asked for
monitoring  the alerting rules and the dashboard that are made for them
"""
