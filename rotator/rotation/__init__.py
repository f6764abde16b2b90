"""The rotation of a token: ten steps, which docs/rotation.md tells in the same order."""
