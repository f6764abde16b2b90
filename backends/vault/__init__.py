"""The parts of the Vault store."""
