"""Text for display: receipts, notes, controls, the tree, formulas."""
