"""What is seen: the live view, the saved output, tables, plots, the panel."""
