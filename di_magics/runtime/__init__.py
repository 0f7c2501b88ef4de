"""What everything runs on: the event loop, interrupts, the state folder."""
