"""The face that Vapi's server messages reach: checked, redacted, stored, answered. Processes nothing."""
