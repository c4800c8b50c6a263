"""Real servers for tests: anvil and Kubo on loopback, stopped by process id."""
