"""`rotator tokens`: the API's own list of service tokens, beside the stores that hold each."""
