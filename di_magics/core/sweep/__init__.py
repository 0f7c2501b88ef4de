"""Sweeps: what is varied, measures of the replies, and where texts differ."""
