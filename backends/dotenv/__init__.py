"""The parts of the `.env` store, each knowing one thing: text, files, locks, addresses, errors."""
