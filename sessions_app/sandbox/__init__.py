"""A simulated Vapi in its own process; it knows no Django, and only its commands import it."""
