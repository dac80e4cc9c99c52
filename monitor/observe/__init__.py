"""Facts in, numbers and notices out: Prometheus, HTTP, systemd and the journal, hidden."""
