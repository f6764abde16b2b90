"""What a release consists of, made from one commit, to the byte the same: `make release`."""
