"""What was on air, as lists that people and collecting societies read."""
