"""After a leak: what leaked, what is done about it, and the record of it."""
