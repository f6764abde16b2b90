"""The HTTP client of the API, of stores and of the Pushgateway: no call outlasts its limits."""
