"""A reply, and the code, JSON and reasoning in its text."""
