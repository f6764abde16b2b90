"""Keeps the Nocturna API service tokens of bots alive."""

__version__ = "0.1.0"
