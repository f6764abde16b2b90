"""What follows once the stores show a new token: hooks, notices, the end of the old one."""
