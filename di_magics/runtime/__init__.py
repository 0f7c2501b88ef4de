"""The event loop, interrupts and the state folder."""
