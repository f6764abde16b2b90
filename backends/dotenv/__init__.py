"""`.env` files as a store: `text` is what a file says, `rewrite` how it is changed."""
