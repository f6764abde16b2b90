"""The `.env` store: the text and the gate before it, the file, and the store with its lock."""
