"""Prices, estimates and what was paid."""
