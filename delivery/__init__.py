"""Delivers the outbox to Temporal, at least once. The API, the arbiter and the relay all deliver through here."""
