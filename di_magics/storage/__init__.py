"""The files on disk: conversations, costs, a teacher's policy."""
