"""A space learns two engineered columns, and what that did to frozen embeddings is measured.

python examples/extend_with_features.py         # the plan decides how long to train
python examples/extend_with_features.py 2       # two epochs each: to see it run
"""
# ruff: noqa: T201

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, FeatureEngineer
from featrix_core.predictor.metrics import bootstrap_difference

HERE = Path(__file__).parent
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else None

known, new = FeatrixInputDataSet(HERE / "data" / "german_credit.csv", ignore_cols=["class"]).split()
space = EmbeddingSpace(known, n_epochs=epochs, name="credit").train()

# Suggestions are records, not code; `class` may neither be read nor made.
engineer = FeatureEngineer.from_json(HERE / "german_credit_features.json", exclude=["class"])
enriched = engineer.fit_transform(known.table.drop(["class"]).to_pandas())
extended = EmbeddingSpace.extend_from_existing(space, enriched, n_epochs=epochs, engineer=engineer)
extended.train()
print("new columns:", ", ".join(extended.extension_metadata["new_columns_added"]))

# The extended space computes the new columns itself: both are given the same raw rows.
bad, truth = (np.asarray(part.table.to_pandas()["class"] == "bad") * 1 for part in (known, new))
answers = []
for candidate in (space, extended):
    probe = LogisticRegression(max_iter=1000).fit(candidate.encode(known.table), bad)
    answers.append(probe.predict_proba(candidate.encode(new.table)))
before, after = answers
change, low, high = bootstrap_difference("roc_auc", truth, after, before)
print(f"AUC of a linear probe changes by {change:+.4f} (95 % interval {low:+.4f} … {high:+.4f})")
