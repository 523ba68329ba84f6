"""The `batch_score` step."""
