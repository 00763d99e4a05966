"""The Run:ai Workloads API: everything that Berth runs, as workloads, to be listed, counted and measured."""
