"""What stays on disk: conversations, costs, a teacher's policy."""
