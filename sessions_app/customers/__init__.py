"""How a customer is presented, in one place."""
