"""What every store has to do (the port), the journal, and the way from a URL to a store.

The stores themselves (.env, Vault, AWS, …) are in `backends`, and are found by entry point.
"""
