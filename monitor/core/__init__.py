"""The rules: no I/O, no clock, no event loop, no logging; numpy at most."""
