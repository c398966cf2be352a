"""Manual edits on their way to Vapi: validated, queued, pushed, settled. The row is the queue."""
