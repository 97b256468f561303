"""Reference figures for FedProx against FedAvg on MNIST, in plain NumPy.

Paper: Li et al. 2020, "Federated optimization in heterogeneous networks".
Softmax regression on 1,000 clients of two labels each, 100 rounds of 10 clients,
with 0, 50 and 90 % stragglers. Three algorithms: FedAvg (drops the stragglers),
mu=0 and mu=2 (FedProx: keep their partial work). The figure of a repeat is the mean
test accuracy after the last 20 rounds. All conditions of a repeat share its
partition, initial model, selections, straggler draws and batch order.

It shares no code with the Rust implementation: it was written from the description
of the experiment alone, to check that implementation's figures.

Run (one core, several minutes), with the folder of the four gzipped IDX files:

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python fedprox_reference.py MNIST_FOLDER

It writes fedprox_reference.json beside itself. A run that diverges is an error.
"""

import gzip
import json
import pathlib
import sys
import time

import numpy as np

REPEATS = 20
CLIENTS, LABELS, LABELS_PER_CLIENT = 1000, 10, 2
CERTAIN, SIGMA = 5, 2.0  # images of a label each holder surely gets; log-normal sigma
ROUNDS, LAST, SELECTED = 100, 20, 10
EPOCHS, BATCH, RATE, DECAY = 10, 10, 0.03, 1e-3
ALGORITHMS = {"fedavg": (0.0, True), "mu=0": (0.0, False), "mu=2": (2.0, False)}  # mu, drops
STRAGGLERS = [0, 0.5, 0.9]
PIXELS = 784


def read_idx(path):
    raw = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def draw_labels(rng):
    """Labels of each client: all different in a client, each label held equally often."""
    pairs = np.repeat(np.arange(LABELS), CLIENTS * LABELS_PER_CLIENT // LABELS)
    pairs = rng.permutation(pairs).reshape(CLIENTS, LABELS_PER_CLIENT)
    while True:
        twins = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
        if not len(twins):
            return pairs
        for a in twins:  # swap one of the equal labels with a random client's
            b = rng.integers(CLIENTS)
            pairs[a, 1], pairs[b, 1] = pairs[b, 1], pairs[a, 1]


def share(total, weights):
    """Split `total` in proportion to `weights`, in whole numbers (largest remainder)."""
    exact = total * weights / weights.sum()
    counts = np.floor(exact).astype(int)
    largest = np.argsort(counts - exact, kind="stable")[: total - counts.sum()]
    counts[largest] += 1
    return counts


def draw_clients(rng, labels):
    """Indices of each client's training images, its validation images held out."""
    pairs = draw_labels(rng)
    images = [[] for _ in range(CLIENTS)]
    for label in range(LABELS):
        holders = np.flatnonzero((pairs == label).any(axis=1))
        pool = rng.permutation(np.flatnonzero(labels == label))
        weights = np.exp(rng.normal(0, SIGMA, len(holders)))
        counts = CERTAIN + share(len(pool) - CERTAIN * len(holders), weights)
        assert counts.sum() == len(pool)
        for holder, part in zip(holders, np.split(pool, np.cumsum(counts)[:-1])):
            images[holder].append(part)
    clients = []
    for parts in images:
        own = rng.permutation(np.concatenate(parts))
        held_out = min(max(int(len(own) / 10 + 0.5), 1), len(own) - 1)
        clients.append(own[held_out:])
    return clients


def standardise(images, mean, sd, out):
    """Standardised pixels into `out`, whose last column of ones carries the bias."""
    np.subtract(images, mean, out=out[:, :PIXELS], dtype=np.float32)
    out[:, :PIXELS] /= sd
    out[:, PIXELS] = 1


def train(model, start, x, y, own, epochs, mu, rng, batch_x, batch_y):
    """Local SGD on the images `own`, in place on `model`, which begins as `start`."""
    n = len(own)
    model[:] = start
    keep = np.float32(1 - RATE * (DECAY + mu))  # w -= rate * (decay * w + mu * (w - start))
    pull = np.float32(RATE * mu) * start
    step = np.empty_like(model)
    spans = [(a, min(a + BATCH, n)) for a in range(0, n, BATCH)]
    for _ in range(epochs):
        order = rng.permutation(own)
        np.take(x, order, axis=0, out=batch_x[:n], mode="clip")
        np.take(y, order, axis=0, out=batch_y[:n], mode="clip")
        for a, b in spans:
            xb = batch_x[a:b]
            p = xb @ model
            p -= p.max(axis=1, keepdims=True)
            np.exp(p, out=p)
            p /= p.sum(axis=1, keepdims=True)
            p -= batch_y[a:b]
            p *= np.float32(RATE / (b - a))
            np.matmul(xb.T, p, out=step)
            model *= keep
            model -= step
            if mu:
                model += pull


def run(seed, mu, drops, p, clients, x, y, test_x, test_labels):
    """Mean test accuracy after the last rounds."""
    rng = np.random.default_rng([seed, 1])  # model, selections and straggler draws
    bound = 1 / np.sqrt(PIXELS)
    model = rng.uniform(-bound, bound, (PIXELS + 1, LABELS)).astype(np.float32)
    local = np.empty_like(model)
    size = max(map(len, clients))
    batch_x = np.empty((size, PIXELS + 1), np.float32)
    batch_y = np.empty((size, LABELS), np.float32)
    accuracies = []
    for round_ in range(ROUNDS):
        selected = rng.choice(CLIENTS, SELECTED, replace=False)
        straggles = rng.random(SELECTED) < p
        partial = rng.integers(1, EPOCHS, SELECTED)  # 1..9 epochs
        total, weight = np.zeros(model.shape), 0
        for client, straggler, epochs in zip(selected, straggles, partial):
            if straggler and drops:
                continue
            own = clients[client]
            order = np.random.default_rng([seed, 2, round_, client])
            epochs = epochs if straggler else EPOCHS
            train(local, model, x, y, own, epochs, mu, order, batch_x, batch_y)
            total += len(own) * (local - model)
            weight += len(own)
        if weight:
            model += (total / weight).astype(np.float32)
        if not np.isfinite(model).all():
            sys.exit(f"diverged: seed {seed}, mu {mu}, stragglers {p}, round {round_ + 1}")
        if round_ >= ROUNDS - LAST:
            accuracies.append(np.mean((test_x @ model).argmax(axis=1) == test_labels))
    return float(np.mean(accuracies))


def main():
    folder = pathlib.Path(sys.argv[1])
    images = read_idx(folder / "train-images-idx3-ubyte.gz").reshape(-1, PIXELS)
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz")
    test_images = read_idx(folder / "t10k-images-idx3-ubyte.gz").reshape(-1, PIXELS)
    test_labels = read_idx(folder / "t10k-labels-idx1-ubyte.gz")
    x = np.empty((len(images), PIXELS + 1), np.float32)
    test_x = np.empty((len(test_images), PIXELS + 1), np.float32)
    y = np.eye(LABELS, dtype=np.float32)[labels]

    figures = {name: {str(p): [] for p in STRAGGLERS} for name in ALGORITHMS}
    for seed in range(REPEATS):
        clients = draw_clients(np.random.default_rng([seed, 0]), labels)
        counts = np.bincount(images[np.concatenate(clients)].ravel(), minlength=256)
        grey = np.arange(256)
        mean = (counts * grey).sum() / counts.sum()
        sd = np.sqrt((counts * (grey - mean) ** 2).sum() / counts.sum())
        standardise(images, mean, sd, x)
        standardise(test_images, mean, sd, test_x)
        for p in STRAGGLERS:
            for name, (mu, drops) in ALGORITHMS.items():
                if p == 0 and name == "mu=0":  # the same run as FedAvg
                    figure = figures["fedavg"]["0"][-1]
                else:
                    began = time.time()
                    figure = run(seed, mu, drops, p, clients, x, y, test_x, test_labels)
                    print(seed, p, name, f"{figure:.5f} {time.time() - began:.1f} s", flush=True)
                figures[name][str(p)].append(round(figure, 5))

    lines = []
    for name, of_p in figures.items():
        lists = [f'      "{p}": {json.dumps(values)}' for p, values in of_p.items()]
        lines.append(f'    "{name}": {{\n' + ",\n".join(lists) + "\n    }")
    text = f'{{\n  "repeats": {REPEATS},\n  "figures": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
    pathlib.Path(__file__).with_suffix(".json").write_text(text)
    for name, of_p in figures.items():
        for p, values in of_p.items():
            print(f"{name} {p}: mean {np.mean(values):.4f} sd {np.std(values, ddof=1):.4f}")


if __name__ == "__main__":
    main()
