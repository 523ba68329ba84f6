"""From a CSV file to a calibrated, explained prediction.

python examples/train_and_predict.py            # the plan decides how long to train
python examples/train_and_predict.py 2          # two epochs each: to see it run
"""
# ruff: noqa: T201

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from featrix_core import EmbeddingSpace, FeatrixInputDataSet, SinglePredictorMLP

DATA = Path(__file__).parent / "data" / "german_credit.csv"
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else None

# The target stays out of the space; a fifth of the rows takes part in no training.
known, new = FeatrixInputDataSet(DATA, ignore_cols=["class"]).split(0.2)

space = EmbeddingSpace(known, n_epochs=epochs, name="credit").train()
predictor = SinglePredictorMLP(space, "class", positive_label="bad").train(n_epochs=epochs)

bad = np.asarray(new.table.to_pandas()["class"] == "bad")
auc = roc_auc_score(bad, predictor.predict_proba(new.table)[:, 1])
print(f"{len(bad)} rows that took part in no training: AUC {auc:.3f}")

for answer in predictor.predict(new.table.take(np.arange(3))):
    pushes = sorted(answer["feature_importance"].items(), key=lambda item: -abs(item[1]))[:3]
    print(
        f"{answer['prediction']} ({answer['probability']:.2f}, {answer['confidence']} confidence)"
    )
    print("   towards bad:", ", ".join(f"{name} {value:+.3f}" for name, value in pushes))
