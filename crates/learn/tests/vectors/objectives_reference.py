"""Reference values for what clients remember and for models of their own.

Linear regression y = x w + b with the mean squared error of all of a client's rows in
every step, so that no order of rows matters.  Three clients, two of them in each round,
three steps a round, everything in float64 NumPy from the papers:

  fedprox    Algorithm 2 of Li et al. 2020, arXiv 1812.06127
  scaffold   Algorithm 1, option II, of Karimireddy et al. 2020, arXiv 1910.06378
  feddyn     Algorithm 1 of Acar et al. 2021, arXiv 2111.04263
  ditto      Algorithm 1 of Li et al. 2021, arXiv 2012.04221, on FedAvg

FedAvg and FedProx weigh by rows; SCAFFOLD and FedDyn count everybody alike.  Rows and
first parameters are multiples of 1/64.  `expected` has the shared parameters (w, then b)
after each round, `personal` each client's own model at the end.

Run with:  python objectives_reference.py > objectives.json
"""

import json

import numpy as np

RATE, STEPS, ROUNDS = 0.125, 3, [[0, 1], [1, 2], [0, 2], [0, 1], [1, 2]]
ROWS = [5, 8, 4]
random = np.random.default_rng(11)
grid = lambda shape: np.round(random.normal(size=shape) * 64) / 64
clients = [(grid((n, 3)) + [0, i, 0], grid(n) + i) for i, n in enumerate(ROWS)]
first = grid(4) / 4


def gradient(client, params):
    x, y = clients[client]
    error = x @ params[:3] + params[3] - y
    return 2 / len(y) * np.append(x.T @ error, error.sum())


def descend(client, params, extra):
    for _ in range(STEPS):
        params = params - RATE * (gradient(client, params) + extra(params))
    return params


def mean(deltas, weights):
    return np.average(deltas, axis=0, weights=weights)


def fedprox(mu):
    x, seen = first, []
    for cohort in ROUNDS:
        deltas = [descend(i, x, lambda y: mu * (y - x)) - x for i in cohort]
        x = x + mean(deltas, [ROWS[i] for i in cohort])
        seen.append(x)
    return seen, []


def scaffold(rate):
    x, c, own, seen = first, np.zeros(4), np.zeros((3, 4)), []
    for cohort in ROUNDS:
        moved, turned = [], []
        for i in cohort:
            y = descend(i, x, lambda _: c - own[i])
            new = own[i] - c + (x - y) / (STEPS * RATE)
            moved.append(y - x)
            turned.append(new - own[i])
            own[i] = new
        x = x + rate * np.mean(moved, axis=0)
        c = c + len(cohort) / len(clients) * np.mean(turned, axis=0)
        seen.append(x)
    return seen, []


def feddyn(alpha):
    x, h, own, seen = first, np.zeros(4), np.zeros((3, 4)), []
    for cohort in ROUNDS:
        ends = []
        for i in cohort:
            end = descend(i, x, lambda y: alpha * (y - x) - own[i])
            own[i] -= alpha * (end - x)
            ends.append(end)
        h = h - alpha / len(clients) * sum(end - x for end in ends)
        x = np.mean(ends, axis=0) - h / alpha
        seen.append(x)
    return seen, []


def ditto(pull):
    x, own, seen = first, [first] * 3, []
    for cohort in ROUNDS:
        deltas = []
        for i in cohort:
            deltas.append(descend(i, x, lambda _: 0) - x)
            own[i] = descend(i, own[i], lambda v: pull * (v - x))
        x = x + mean(deltas, [ROWS[i] for i in cohort])
        seen.append(x)
    return seen, own


CASES = {
    'strategy.name="fedprox" strategy.mu=0.5': fedprox(0.5),
    'strategy.name="scaffold"': scaffold(1.0),
    'strategy.name="scaffold" strategy.learning_rate=0.5': scaffold(0.5),
    'strategy.name="feddyn" strategy.alpha=0.25': feddyn(0.25),
    "personalise.lambda=0.75": ditto(0.75),
}

digits = lambda values: [float(f"{value:.12g}") for value in values]
print(json.dumps({
    "rate": RATE,
    "steps": STEPS,
    "rounds": ROUNDS,
    "first": first.tolist(),
    "clients": [{"x": x.ravel().tolist(), "y": y.tolist()} for x, y in clients],
    "cases": [
        {"keys": keys.split(), "expected": [digits(x) for x in seen], "personal": [digits(v) for v in own]}
        for keys, (seen, own) in CASES.items()
    ],
}))
