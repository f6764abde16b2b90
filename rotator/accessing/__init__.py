"""`rotator access-token`: a fresh access token on stdout, for scripts that have no library."""
