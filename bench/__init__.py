"""Benchmarks: this program and the guide's scripts that it replaces, side by side.

`make bench`, or `python -m bench a` for one part; run by hand, on a machine at rest.
"""
