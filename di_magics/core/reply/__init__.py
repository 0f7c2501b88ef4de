"""A reply and what is read from its text."""
