"""One turn: planned, written down, sent, folded, sealed."""
