"""Secrets of GitHub Actions as mirrors."""
