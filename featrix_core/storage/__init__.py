"""Local paths and S3 behind one door (OPS-8)."""
