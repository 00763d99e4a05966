"""What one can do with Berth, once, for every dialect. Each operation asks for permission itself."""
