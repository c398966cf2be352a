"""Finding rows: filters, words, parts of numbers. Never asks Vapi."""
