"""The `train_predictor` step."""
