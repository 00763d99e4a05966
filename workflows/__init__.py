"""Durable lifecycles: what happens to a Gpr or a workspace, step by step, across any crash.

Workflows take no decisions. The ledger decides, under locks; a workflow carries the decision out and reports back.
"""
