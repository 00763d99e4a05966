"""Who asks: API keys and the bearer tokens that logins hand out for them."""
