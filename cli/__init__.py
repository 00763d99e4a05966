"""The `berth` command: the local stack, and a client of the native API."""
