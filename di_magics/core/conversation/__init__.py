"""Turns, the tree they form, and both as plain data."""
