"""A simulated Vapi in its own process; only its management command imports it, and it knows no Django."""
