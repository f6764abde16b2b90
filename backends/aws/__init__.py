"""The parts of the AWS store, each knowing one thing: addresses, clients, calls, text, errors."""
