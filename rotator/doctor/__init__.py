"""`rotator doctor` finds what would break a rotation before one is due, and changes nothing.

`gather` reads and asks, `checks` judges what it found, and `findings` says it.
"""
