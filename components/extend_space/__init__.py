"""The `extend_space` step."""
