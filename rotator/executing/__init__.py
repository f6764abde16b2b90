"""`rotator exec`: runs a program with the secret, and tells it when the secret changes.

`machine.py` decides, as a pure function; the rest is what it hears of and what it lets happen.
"""
