from __future__ import annotations

from hypothesis import settings

settings.register_profile("planner", max_examples=100, deadline=None)
settings.load_profile("planner")
