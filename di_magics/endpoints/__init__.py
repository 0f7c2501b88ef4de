"""Where requests go: addresses, keys, the HTTP client, the model on this machine."""
