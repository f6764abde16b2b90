"""`rotator exec`: runs a program with its token, and restarts or signals it when the token changes.

`state_machine.py` decides, as a pure function; the other modules bring it events and take actions.
"""
