"""What `berth up` shows when the stack is up: one Gpr through its whole life, on the real parts."""
