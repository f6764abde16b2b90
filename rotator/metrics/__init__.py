"""The state of the tokens as Prometheus metrics; needs the extra `metrics`."""
