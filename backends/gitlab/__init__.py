"""Variables of GitLab CI as mirrors."""
