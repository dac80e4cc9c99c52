"""The workshop that makes encoders; never imported by the daemon."""
