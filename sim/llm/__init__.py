"""The language-model module: users who edit text, the agent that learns from them, and what its logs tell theory."""
