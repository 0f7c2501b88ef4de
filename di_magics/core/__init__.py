"""What the package knows: values and functions of values.

Standard library only; no I/O, clock, randomness or threads (a test enforces it).
"""
