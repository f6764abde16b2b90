"""What follows once the stores show a new token: commands, restarts, notices."""
