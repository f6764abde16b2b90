"""The daemon's own page: how the tokens are, for people, probes and Prometheus."""
