"""A grid of settings, and numbers about its replies."""
