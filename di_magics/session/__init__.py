"""One turn: planned, written to disk, sent, folded and sealed."""
