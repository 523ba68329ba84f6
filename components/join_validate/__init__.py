"""The `join_validate` step."""
