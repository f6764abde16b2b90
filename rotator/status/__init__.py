"""The state of the fleet, as the page, `GET /api/v1/status` and `rotator status` show it.

`rows` builds the one object that all of them show; `gather` looks for the command, `words` says it
in lines, and `terminal` paints it.
"""
