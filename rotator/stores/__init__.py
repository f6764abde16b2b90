"""The stores: the port that each implements, the journal, and the way from a URL to a store."""
