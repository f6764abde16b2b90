"""The embedded API, row by row and quirk by quirk, over real HTTP."""
