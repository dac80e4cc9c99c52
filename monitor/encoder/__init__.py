"""Windows in, unit vectors out: torch, hidden."""
