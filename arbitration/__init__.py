"""Ledger and planner under one lock: the arbiter's pass, and questions to the plan."""
