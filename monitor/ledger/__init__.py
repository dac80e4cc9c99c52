"""What every station's airtime was, second by second: SQLite, hidden."""
