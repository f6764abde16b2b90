"""The daemon: its schedule, its health, and its page for people, probes and Prometheus."""
