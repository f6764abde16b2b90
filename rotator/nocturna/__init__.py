"""The Nocturna auth API: `session` keeps the admin logged in for the calls of `service_tokens`."""
