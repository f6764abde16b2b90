"""Vault and OpenBao as a store."""
