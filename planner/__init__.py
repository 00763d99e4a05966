"""The time axis: who starts when, where, and why not sooner.

Pure: no clock, no chance, no I/O. Reading the world and writing the answer belong to `arbitration`.
"""
