"""HTTP with bounds: the one client, and what URLs tell without loading it."""
