"""featrix: one self-supervised embedding space per table, many predictors on top of it."""
