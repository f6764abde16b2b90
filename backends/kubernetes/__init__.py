"""Kubernetes Secrets as a store, and restarts of workloads."""
