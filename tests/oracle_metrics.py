"""Expected values of the metrics, from scikit-learn, as a Lua file that test_metrics.lua reads:

    python3 tests/oracle_metrics.py > tests/lua/oracle_metrics.lua

Made with scikit-learn 1.9 and NumPy 2.4. Scores have two decimals and some are equal; classes count
from 1. The last class is never predicted and the one before it never there.
"""
import numpy as np
from sklearn import calibration, metrics

rng = np.random.RandomState(3)
N, CLASSES = 40, 5


def lua(value):
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {lua(v)}" for k, v in value.items()) + "}"
    if np.ndim(value):
        return "{" + ", ".join(lua(v) for v in value) + "}"
    if np.isinf(value):
        return "math.huge"
    return repr(value.item() if hasattr(value, "item") else value)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def ece(right, p, n_bins=15):
    """The expected calibration error by scikit-learn's reliability curve, whose bins are the same."""
    share, mean = calibration.calibration_curve(right, p, n_bins=n_bins)
    counts, _ = np.histogram(p, np.linspace(0, 1, n_bins + 1))
    return np.sum(np.abs(share - mean) * counts[counts > 0]) / len(p)


def classes():
    logits = np.round(rng.randn(N, CLASSES) * 2, 2)
    logits[:, CLASSES - 1] -= 20
    y = rng.randint(0, CLASSES - 1, N)
    y[y == CLASSES - 2] = CLASSES - 1
    y[:3] = CLASSES - 1
    seen = logits.copy()
    seen[np.arange(N), y] += 1.5
    logits = np.round(seen, 2)
    predicted, p = logits.argmax(1), softmax(logits)
    values = {
        "accuracy": metrics.accuracy_score(y, predicted),
        "top_2_accuracy": metrics.top_k_accuracy_score(y, logits, k=2, labels=range(CLASSES)),
        "top_3_accuracy": metrics.top_k_accuracy_score(y, logits, k=3, labels=range(CLASSES)),
        "confusion": metrics.confusion_matrix(y, predicted, labels=range(CLASSES)),
        "perplexity": np.exp(metrics.log_loss(y, p, labels=range(CLASSES))),
        "calibration": ece(predicted == y, p.max(1)),
        "calibration_7": ece(predicted == y, p.max(1), 7),
    }
    for how in ("true", "pred", "all"):
        values["confusion_" + how] = metrics.confusion_matrix(
            y, predicted, labels=range(CLASSES), normalize=how)
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, name + "_score")
        for average in ("macro", "micro", "weighted"):
            values[f"{name}_{average}"] = score(y, predicted, average=average, zero_division=0)
        values[name + "_none"] = score(y, predicted, average=None, zero_division=0,
                                       labels=range(CLASSES))
    return {"scores": logits, "labels": y + 1, "values": values}


def against_the_others():
    """Each class is there: areas are those of one class against the others, averaged."""
    logits = np.round(rng.randn(N, 3), 1)
    y = rng.randint(0, 3, N)
    one_hot = np.eye(3)[y]
    return {"scores": logits, "labels": y + 1, "values": {
        "roc_auc": metrics.roc_auc_score(one_hot, logits, average="macro"),
        "average_precision": metrics.average_precision_score(one_hot, logits, average="macro"),
    }}


def one_class():
    y = rng.randint(0, 2, N)
    logits = np.round(rng.randn(N) + y, 1)
    fpr, tpr, thresholds = metrics.roc_curve(y, logits, drop_intermediate=False)
    precision, recall, cuts = metrics.precision_recall_curve(y, logits)
    predicted, strict = logits > 0, sigmoid(logits) > 0.8
    return {"scores": logits, "targets": y, "values": {
        "accuracy": metrics.accuracy_score(y, predicted),
        "accuracy_strict": metrics.accuracy_score(y, strict),
        "precision": metrics.precision_score(y, predicted),
        "recall": metrics.recall_score(y, predicted),
        "f1": metrics.f1_score(y, predicted),
        "confusion": metrics.confusion_matrix(y, predicted),
        "roc_auc": metrics.roc_auc_score(y, logits),
        "average_precision": metrics.average_precision_score(y, logits),
        "calibration": ece(y, sigmoid(logits)),
        "fpr": fpr, "tpr": tpr, "thresholds": thresholds,
        "precisions": precision, "recalls": recall, "cuts": cuts,
    }}


def numbers():
    y = np.round(rng.randn(N, 2) * [1, 5] + [10, -3], 2)
    x = np.round(y + rng.randn(N, 2), 2)
    return {"predictions": x, "targets": y, "values": {
        "mae": metrics.mean_absolute_error(y, x),
        "rmse": np.sqrt(metrics.mean_squared_error(y, x)),
        "r2": metrics.r2_score(y, x),
        "r2_first": metrics.r2_score(y[:, 0], x[:, 0]),
    }}


print("-- Expected values of the metrics; tests/oracle_metrics.py writes this file.")
print("return {")
for make in (classes, against_the_others, one_class, numbers):
    print(f"  {make.__name__} = {{")
    for key, value in make().items():
        if key != "values":
            print(f"    {key} = {lua(value)},")
            continue
        print("    values = {")
        for name, v in value.items():
            print(f"      {name} = {lua(v)},")
        print("    },")
    print("  },")
print("}")
