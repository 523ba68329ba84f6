"""The `calibrate` step."""
