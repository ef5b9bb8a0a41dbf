"""What a machine is and what is due on it: pure values and pure functions, no input and no output."""
