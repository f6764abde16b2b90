"""The `.env` store, in three parts: the text, the file, and the store with its lock and errors."""
