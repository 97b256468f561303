"""scikit-learn's figures for small classifications, as a test vector.

Probabilities are softmaxes rounded to float32, or to tenths where scores are to tie, so that a
float32 model's answers can be held against them. A prediction is the most probable class, the first
of several. The log-loss is of probabilities that are at least 1e-7.

What scikit-learn calls undefined (it is asked for NaN) is null. The macro F1 is over the classes that
have rows or predictions, as f1_score does by itself; the macro AUROC is over the classes that have
rows while others have some too, each against all others. Where every class has rows, that is
roc_auc_score's own "ovr" average, and it is checked here that it is.

Run again with NumPy and scikit-learn installed:

    python sklearn_metrics.py

It writes sklearn_metrics.json beside itself.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from sklearn import metrics

SMALLEST = 1e-7
CASES = [
    # name, rows, share of each class, how far truths stand out, whether scores are in tenths
    ("two-balanced", 60, [1, 1], 1.0, False),
    ("two-imbalanced", 80, [9, 1], 1.5, False),
    ("two-tied", 50, [1, 1], 1.0, True),
    ("two-certain", 40, [1, 1], 60.0, False),
    ("two-certainly-wrong", 40, [1, 1], -60.0, False),
    ("two-of-one-class", 12, [1, 0], 1.0, False),
    ("four-balanced", 80, [1, 1, 1, 1], 1.0, False),
    ("four-one-absent", 80, [6, 3, 0, 1], 2.0, False),
    ("four-tied", 60, [1, 2, 3, 4], 1.5, True),
    ("ten-balanced", 150, [1] * 10, 2.0, False),
    ("ten-imbalanced", 150, [50, 20, 10, 8, 4, 3, 2, 2, 1, 0], 3.0, False),
]


def probabilities(rng, truths, classes, strength, tied):
    logits = rng.normal(size=(len(truths), classes))
    logits[np.arange(len(truths)), truths] += strength * rng.uniform(size=len(truths))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return (p.round(1) if tied else p).astype(np.float32)


def or_null(value):
    return None if np.isnan(value) else float(value)


def auroc(truths, p, k):
    own = truths == k
    return float(metrics.roc_auc_score(own, p[:, k])) if 0 < own.sum() < len(own) else None


def macro_auroc(truths, p, classes):
    each = [a for k in range(classes) if (a := auroc(truths, p, k)) is not None]
    mean = float(np.mean(each)) if each else None
    if len(np.unique(truths)) == classes > 2:
        sums = p.astype(np.float64)
        if np.allclose(sums.sum(axis=1), 1):
            ovr = metrics.roc_auc_score(truths, sums / sums.sum(axis=1, keepdims=True), multi_class="ovr")
            assert abs(ovr - mean) < 1e-3, (ovr, mean)
    return mean


def log_loss(truths, p):
    given = np.clip(p[np.arange(len(truths)), truths].astype(np.float64), SMALLEST, 1)
    mean = float(-np.log(given).mean())
    # scikit-learn's own is of probabilities that add to one, which these do up to float32's rounding.
    whole = p.astype(np.float64)
    if p.min() >= SMALLEST and np.allclose(whole.sum(axis=1), 1):
        own = metrics.log_loss(truths, whole / whole.sum(axis=1, keepdims=True), labels=range(p.shape[1]))
        assert abs(own - mean) < 1e-6, (own, mean)
    return mean


def case(seed, name, rows, shares, strength, tied):
    rng = np.random.default_rng(seed)
    classes = len(shares)
    truths = rng.choice(classes, size=rows, p=np.array(shares) / sum(shares))
    p = probabilities(rng, truths, classes, strength, tied)
    predicted = p.argmax(axis=1)
    labels = list(range(classes))
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        truths, predicted, labels=labels, zero_division=np.nan
    )
    return {
        "name": name,
        "truths": truths.tolist(),
        "probabilities": [[float(v) for v in row] for row in p],
        "metrics": {
            "accuracy": float(metrics.accuracy_score(truths, predicted)),
            "balanced_accuracy": float(metrics.balanced_accuracy_score(truths, predicted)),
            "macro_f1": float(metrics.f1_score(truths, predicted, average="macro")),
            "auroc": macro_auroc(truths, p, classes),
            "log_loss": log_loss(truths, p),
        },
        "per_class": [
            {
                "precision": or_null(precision[k]),
                "recall": or_null(recall[k]),
                "f1": or_null(f1[k]),
                "auroc": auroc(truths, p, k),
                "support": int(support[k]),
            }
            for k in labels
        ],
        "confusion": metrics.confusion_matrix(truths, predicted, labels=labels).tolist(),
    }


def main():
    warnings.simplefilter("ignore")
    cases = [case(seed, *spec) for seed, spec in enumerate(CASES)]
    path = Path(__file__).with_suffix(".json")
    body = ",\n".join(json.dumps(c) for c in cases)
    path.write_text('{"cases": [\n' + body + "\n]}\n")


if __name__ == "__main__":
    main()
