"""The request: how it is planned and encoded, and how the response is read."""
