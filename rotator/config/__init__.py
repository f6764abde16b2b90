"""The configuration: one table of keys, read from a file and the environment."""
