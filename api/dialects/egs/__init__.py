"""The Elastic GPU Service's dialect, `/api/v1`: slice workspaces, inventory and GPU provision requests."""
