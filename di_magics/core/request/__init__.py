"""The request: planned, encoded, and the stream that answers it."""
