"""Turns sync answers into rows: the only writer of mirrored columns. Knows Vapi through vapi/ alone."""
