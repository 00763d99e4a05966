"""The local stack: every part of Berth's world, real, on one machine, without Docker.

Leaves the words on the screen to `cli.main`, and everything about Gprs to the processes it starts.
"""
