"""The devices of the node that this process runs on: the only door to NVML, and to a DCGM exporter where there is one."""
