"""`rotator doctor`: what would break a rotation in weeks is looked for now; nothing is changed.

What is asked and read comes first; the checks are pure functions of what was found.
"""
