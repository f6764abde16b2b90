"""What a store is: the port that each implements, the journal, and the way from a URL to a store.

The stores themselves are in the package `backends`, which is found by entry point.
"""
