"""What is computed from cost lines: rollup, reports, exports. Never asks Vapi."""
