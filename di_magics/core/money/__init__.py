"""Prices, estimates, budgets and costs."""
