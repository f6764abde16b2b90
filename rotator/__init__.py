"""Keeps the Nocturna API service tokens of bots alive."""

__version__ = "0.2.0"
