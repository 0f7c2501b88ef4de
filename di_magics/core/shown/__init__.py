"""Text for people: receipts, notes, the tree, formulas."""
