"""Vapi's HTTP and JSON: client, payloads, errors, redaction. Knows no rows and no Django."""
