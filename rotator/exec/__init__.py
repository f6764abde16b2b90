"""`rotator exec`: runs a program with its token, and tells it when the token changes.

`machine.py` decides, as a pure function; the rest is what it hears of and what it lets happen.
"""
