"""The planner in virtual time, beside other policies on the same work.

Pure: no clock, no chance but a seed, no I/O but reading a trace. `python -m bench.simulator` prints the comparison.
"""
