"""Notices to people: what is worth telling is noted beside what happened, and sent afterwards by workers."""
