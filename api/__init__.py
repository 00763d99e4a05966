"""Every door inward. Dialects speak to clients, operations say what one can do, auth says who asks."""
