"""The browser's face, on django-unfold."""
