"""The fault run: real sources on loopback that fail in every way a station does, and what the capture makes of it."""
