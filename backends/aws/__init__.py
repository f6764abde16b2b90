"""AWS Secrets Manager as a store."""
