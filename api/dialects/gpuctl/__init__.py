"""The gpuctl API: jobs, pools and quotas as YAML documents, as its clients know them."""
