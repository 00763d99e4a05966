"""Kubernetes: what runs. The only package that speaks to a cluster's API."""
