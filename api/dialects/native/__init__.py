"""Berth's own dialect, `/berth/v1`: what the command and the console speak, and all that the others cannot say."""
