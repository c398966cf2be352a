"""Manual edits on their way to Vapi: queue, push, conflicts."""
