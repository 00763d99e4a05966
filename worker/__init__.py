"""Berth's processes other than the API: which parts each one runs, how it is configured, watched and stopped."""
