"""The product: a mirror of Vapi's sessions, chats and costs, and its faces."""
