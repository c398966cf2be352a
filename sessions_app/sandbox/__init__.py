"""A simulated Vapi in its own process; it knows no Django, and of the rest only the command that starts it knows it."""
