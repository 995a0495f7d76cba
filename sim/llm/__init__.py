"""The language-model module: a small text world, users who edit what an agent wrote, and what an edit costs."""
