"""The steps that workflows take: thin, and safe to run twice. Each class holds the doors that its steps go through."""
