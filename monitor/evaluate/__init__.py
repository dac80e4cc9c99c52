"""The workshop that measures; never imported by the daemon."""
