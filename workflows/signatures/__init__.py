"""Typed signatures of every activity, without bodies, by lifecycle: all that workflows know about them.

The classes in `activities/` implement these; a test compares the two. Names are wire contracts of running workflows.
"""
