"""Reference values for the federated aggregation rules and server optimisers.

Every formula is written in float64 NumPy from the papers:

  mean                   McMahan et al. 2017, arXiv 1602.05629
  median, trimmed-mean   Yin et al. 2018, arXiv 1803.01498
  rfa                    Pillutla, Kakade, Harchaoui 2019, arXiv 1912.13445
  krum, multikrum        Blanchard et al. 2017, arXiv 1703.02757
  bulyan                 El Mhamdi, Guerraoui, Rouault 2018, arXiv 1802.07927
  norm-bounded           Sun et al. 2019, arXiv 1911.07963
  fednova                Wang et al. 2020, arXiv 2007.07481
  qfedavg                Li et al. 2020, arXiv 1905.10497
  momentum               Hsu, Qi, Brown 2019, arXiv 1909.06335
  adagrad, adam, yogi    Reddi et al. 2021, arXiv 2003.00295

An update x_i is a delta (local parameters minus global parameters) and its
weight w_i is a number of examples; "uniform-mean" is the unweighted mean.
Updates, losses, parameters and deltas are multiples of 1/1024, which float32
holds exactly and which print in full.  Expected values have 12 significant
digits.  A tie between Krum scores goes to the update with the lowest index;
Bulyan always meets one, when its score counts a single nearest neighbour.
The Krum, Multi-Krum and Bulyan seeds give inputs on which one neighbour more
or less, or distances left unsquared, would change the result.

Run with:  python strategies_reference.py > strategies.json
"""

import json

import numpy as np

GRID = 1024
DIGITS = 12
STEPS = 4
OPTIMIZER_DIM = 6


# Aggregation rules: (updates, weights, scalars, **keys) -> aggregate.


def mean(x, w, scalars):
    return w @ x / w.sum()


def uniform_mean(x, w, scalars):
    return x.mean(axis=0)


def median(x, w, scalars):
    s = np.sort(x, axis=0)
    n = len(s)
    return (s[(n - 1) // 2] + s[n // 2]) / 2


def trimmed_mean(x, w, scalars, byzantine):
    s = np.sort(x, axis=0)
    return s[byzantine : len(s) - byzantine].mean(axis=0)


def rfa(x, w, scalars, iterations, nu):
    alpha = w / w.sum()
    v = alpha @ x
    for _ in range(iterations):
        beta = alpha / np.maximum(nu, np.linalg.norm(x - v, axis=1))
        v = beta @ x / beta.sum()
    return v


def squared_distances(x):
    return ((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)


def krum_scores(x, byzantine):
    """Sum of the squared distances to the n - f - 2 (at least 1) nearest others."""
    nearest = max(len(x) - byzantine - 2, 1)
    others = squared_distances(x)
    np.fill_diagonal(others, np.inf)
    return np.sort(others, axis=1)[:, :nearest].sum(axis=1)


def krum(x, w, scalars, byzantine):
    return x[np.argmin(krum_scores(x, byzantine))]


def multikrum(x, w, scalars, byzantine, keep):
    order = np.argsort(krum_scores(x, byzantine), kind="stable")
    return x[order[:keep]].mean(axis=0)


def bulyan_selection(x, byzantine):
    """Indices of the n - 2f updates that repeated Krum picks, in order."""
    remaining, selected = list(range(len(x))), []
    while len(selected) < len(x) - 2 * byzantine:
        best = int(np.argmin(krum_scores(x[remaining], byzantine)))
        selected.append(remaining.pop(best))
    return selected


def bulyan(x, w, scalars, byzantine):
    selection = x[bulyan_selection(x, byzantine)]
    beta = len(selection) - 2 * byzantine
    distance = np.abs(selection - median(selection, None, None))
    closest = np.argsort(distance, axis=0, kind="stable")[:beta]
    return np.take_along_axis(selection, closest, axis=0).mean(axis=0)


def norm_bounded(x, w, scalars, bound):
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return mean(x / np.maximum(1.0, norms / bound), w, scalars)


def fednova(x, w, scalars):
    p = w / w.sum()
    a = scalars["steps"]
    tau_eff = p @ a
    return tau_eff * ((p / a) @ x)


def qfedavg(x, w, scalars, q, lipschitz):
    loss = scalars["train_loss"]
    delta = (loss**q)[:, None] * lipschitz * x
    squared_norm = (lipschitz * x) ** 2 @ np.ones(x.shape[1])
    h = q * loss ** (q - 1) * squared_norm + lipschitz * loss**q
    return delta.sum(axis=0) / h.sum()


RULES = {
    "mean": mean,
    "uniform-mean": uniform_mean,
    "median": median,
    "trimmed-mean": trimmed_mean,
    "rfa": rfa,
    "krum": krum,
    "multikrum": multikrum,
    "bulyan": bulyan,
    "norm-bounded": norm_bounded,
    "fednova": fednova,
    "qfedavg": qfedavg,
}


# Server optimisers: (params, deltas, **keys) -> parameters after each step.


def sgd(params, deltas, learning_rate):
    return params + learning_rate * np.cumsum(deltas, axis=0)


def momentum(params, deltas, learning_rate, momentum):
    v = np.zeros_like(params)
    trace = []
    for d in deltas:
        v = momentum * v + d
        params = params + learning_rate * v
        trace.append(params)
    return np.array(trace)


def adaptive(second_moment):
    """FedOpt with v <- second_moment(v, d * d, beta_2)."""

    def run(params, deltas, learning_rate, beta_1, beta_2, tau):
        m = np.zeros_like(params)
        v = np.full_like(params, tau**2)
        trace = []
        for d in deltas:
            m = beta_1 * m + (1 - beta_1) * d
            v = second_moment(v, d * d, beta_2)
            params = params + learning_rate * m / (np.sqrt(v) + tau)
            trace.append(params)
        return np.array(trace)

    return run


def adagrad_moment(v, d2, beta_2):
    return v + d2


def adam_moment(v, d2, beta_2):
    return beta_2 * v + (1 - beta_2) * d2


def yogi_moment(v, d2, beta_2):
    return v - (1 - beta_2) * d2 * np.sign(v - d2)


OPTIMIZERS = {
    "sgd": sgd,
    "momentum": momentum,
    "adagrad": adaptive(adagrad_moment),
    "adam": adaptive(adam_moment),
    "yogi": adaptive(yogi_moment),
}


# Inputs.


def on_grid(values):
    rounded = np.round(np.asarray(values, dtype=np.float64) * GRID) / GRID
    return rounded.astype(np.float32).astype(np.float64)


def honest_updates(rng, n, dim):
    centre = rng.normal(0.0, 1.0, dim)
    return centre + rng.normal(0.0, 0.5, (n, dim))


def with_outliers(rng, updates, outliers):
    where = rng.choice(len(updates), outliers, replace=False)
    updates[where] += rng.normal(0.0, 30.0, (outliers, updates.shape[1]))
    return updates


def random_weights(rng, n):
    return rng.choice(np.arange(1, 51), n, replace=False).astype(np.float64)


def random_scalars(rng, rule, n):
    if rule == "fednova":
        return {"steps": rng.integers(1, 40, n).astype(np.float64)}
    if rule == "qfedavg":
        return {"train_loss": on_grid(rng.uniform(0.1, 3.0, n))}
    return {}


# (seed, name, rule, number of updates, dimension, number of outliers)
CASES = [
    (100, "mean-a", {"name": "mean"}, 5, 4, 0),
    (101, "mean-b", {"name": "mean"}, 11, 9, 0),
    (102, "uniform-mean-a", {"name": "uniform-mean"}, 6, 3, 0),
    (103, "uniform-mean-b", {"name": "uniform-mean"}, 9, 12, 0),
    (104, "median-odd", {"name": "median"}, 7, 10, 2),
    (105, "median-even", {"name": "median"}, 10, 6, 3),
    (106, "trimmed-mean-f1", {"name": "trimmed-mean", "byzantine": 1}, 5, 8, 1),
    (107, "trimmed-mean-f2", {"name": "trimmed-mean", "byzantine": 2}, 8, 5, 2),
    (108, "trimmed-mean-f3", {"name": "trimmed-mean", "byzantine": 3}, 12, 7, 3),
    (109, "rfa-r3", {"name": "rfa", "iterations": 3, "nu": 1e-6}, 6, 10, 1),
    (110, "rfa-r8", {"name": "rfa", "iterations": 8, "nu": 1e-6}, 11, 5, 3),
    (111, "rfa-identical", {"name": "rfa", "iterations": 3, "nu": 1e-6}, 5, 4, 0),
    (173, "krum-f1", {"name": "krum", "byzantine": 1}, 6, 5, 1),
    (2667, "krum-f2", {"name": "krum", "byzantine": 2}, 8, 20, 2),
    (20, "krum-f3", {"name": "krum", "byzantine": 3}, 12, 3, 3),
    (4137, "multikrum-f1", {"name": "multikrum", "byzantine": 1, "keep": 3}, 6, 12, 1),
    (1031, "multikrum-f2", {"name": "multikrum", "byzantine": 2, "keep": 5}, 9, 4, 2),
    (587, "multikrum-f3", {"name": "multikrum", "byzantine": 3, "keep": 7}, 12, 6, 3),
    (911, "bulyan-f1-odd", {"name": "bulyan", "byzantine": 1}, 7, 8, 1),
    (12, "bulyan-f1-even", {"name": "bulyan", "byzantine": 1}, 10, 5, 1),
    (9, "bulyan-f2", {"name": "bulyan", "byzantine": 2}, 12, 11, 2),
    (121, "norm-bounded-a", {"name": "norm-bounded", "bound": 2.5}, 7, 6, 2),
    (122, "norm-bounded-b", {"name": "norm-bounded", "bound": 4.0}, 10, 13, 1),
    (123, "norm-bounded-zero", {"name": "norm-bounded", "bound": 1.5}, 5, 3, 1),
    (124, "fednova-a", {"name": "fednova"}, 5, 7, 0),
    (125, "fednova-b", {"name": "fednova"}, 9, 16, 0),
    (126, "qfedavg-q0", {"name": "qfedavg", "q": 0.0, "lipschitz": 10.0}, 5, 6, 0),
    (127, "qfedavg-q1", {"name": "qfedavg", "q": 1.0, "lipschitz": 2.0}, 8, 9, 0),
    (128, "qfedavg-q2.5", {"name": "qfedavg", "q": 2.5, "lipschitz": 0.5}, 12, 4, 0),
]


def adaptive_keys(name, learning_rate, beta_1, beta_2, tau):
    return {
        "name": name,
        "learning_rate": learning_rate,
        "beta_1": beta_1,
        "beta_2": beta_2,
        "tau": tau,
    }


OPTIMIZER_CASES = [
    ("sgd-1", {"name": "sgd", "learning_rate": 1.0}),
    ("sgd-0.3", {"name": "sgd", "learning_rate": 0.3}),
    ("momentum-0.9", {"name": "momentum", "learning_rate": 1.0, "momentum": 0.9}),
    ("momentum-0.5", {"name": "momentum", "learning_rate": 0.25, "momentum": 0.5}),
    ("adagrad-beta0", adaptive_keys("adagrad", 0.1, 0.0, 0.99, 0.001)),
    ("adagrad-beta0.9", adaptive_keys("adagrad", 0.5, 0.9, 0.99, 0.125)),
    ("adam-a", adaptive_keys("adam", 0.1, 0.9, 0.99, 0.001)),
    ("adam-b", adaptive_keys("adam", 0.25, 0.5, 0.75, 0.125)),
    ("yogi-a", adaptive_keys("yogi", 0.1, 0.9, 0.99, 0.001)),
    ("yogi-b", adaptive_keys("yogi", 0.25, 0.5, 0.75, 0.5)),
]


def case_updates(rng, name, n, dim, outliers):
    updates = on_grid(with_outliers(rng, honest_updates(rng, n, dim), outliers))
    if name == "rfa-identical":
        updates[:] = updates[0]
    if name == "norm-bounded-zero":
        updates[0] = 0.0
    return updates


def printed(array):
    return np.vectorize(lambda value: float(f"{value:.{DIGITS}g}"))(array).tolist()


def rule_case(seed, name, rule, n, dim, outliers):
    rng = np.random.default_rng(seed)
    x = case_updates(rng, name, n, dim, outliers)
    w = random_weights(rng, n)
    scalars = random_scalars(rng, rule["name"], n)
    keys = {key: value for key, value in rule.items() if key != "name"}
    expected = RULES[rule["name"]](x, w, scalars, **keys)
    case = {"name": name, "rule": rule, "updates": x.tolist(), "weights": w.tolist()}
    if scalars:
        case["scalars"] = {key: value.tolist() for key, value in scalars.items()}
    return case | {"expected": printed(expected)}


def optimizer_case(seed, name, optimizer):
    rng = np.random.default_rng(seed)
    params = on_grid(rng.normal(0.0, 1.0, OPTIMIZER_DIM))
    deltas = on_grid(rng.normal(0.0, 0.5, (STEPS, OPTIMIZER_DIM)))
    deltas[:, 2] = 0.0
    deltas[1, 4] = 0.0
    keys = {key: value for key, value in optimizer.items() if key != "name"}
    expected = OPTIMIZERS[optimizer["name"]](params, deltas, **keys)
    return {
        "name": name,
        "optimizer": optimizer,
        "params": params.tolist(),
        "deltas": deltas.tolist(),
        "expected": printed(expected),
    }


def one_per_line(items):
    return ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)


def main():
    cases = [rule_case(*case) for case in CASES]
    optimizers = [optimizer_case(200 + i, *case) for i, case in enumerate(OPTIMIZER_CASES)]
    print('{"cases":[', one_per_line(cases), "],", sep="\n")
    print('"optimizers":[', one_per_line(optimizers), "]}", sep="\n")


if __name__ == "__main__":
    main()
