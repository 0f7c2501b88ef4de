"""What is shown as text: receipts, notes, controls, the tree, formulas."""
