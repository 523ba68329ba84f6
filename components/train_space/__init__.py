"""The `train_space` step."""
