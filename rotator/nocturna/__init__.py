"""The Nocturna auth API: admin session (login, refresh, log in again) and service tokens."""
