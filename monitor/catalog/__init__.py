"""Who the references are, and their fingerprints on disk: SQLite and tags, hidden."""
