"""Sampling parameters, flags, settings and policies."""
