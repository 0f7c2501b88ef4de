"""Endpoints: addresses, keys, the HTTP client, the local model."""
