"""The state of the fleet, as the page, `GET /api/v1/status` and `rotator status` show it.

`rows` builds the one object that all of them show, and `chain` that of a single token. For the
command, `gather` looks itself, and `remote` asks a daemon, whose object `parse` reads back. `words`
and `sections` say it in lines, and `terminal` paints it.
"""
