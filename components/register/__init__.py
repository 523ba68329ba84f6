"""The `register` step."""
