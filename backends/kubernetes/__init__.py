"""The parts of the Kubernetes store."""
