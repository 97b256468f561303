"""Rounds of federated averaging with a convolutional network on MNIST, done by two Python peers.

Run with numpy, torch and the peer's own package (none, or flwr[simulation]) installed:

    python peer_mnist.py loop|flower DATA ROUNDS CORES

DATA is the folder of MNIST's four files. The 60,000 training images are dealt out to 100 clients; in
each round 10 of them, drawn anew, train the network of McMahan et al. 2017 for one epoch in shuffled
batches of 32 with SGD(0.05), and their models are averaged. Nothing is evaluated.

loop is PyTorch alone, one client after another. flower is run_simulation with one core for a client, so
that as many clients as there are CORES train at a time: by default each would have two, and PyTorch's
threads wait for each other whenever something else runs. Each client trains on one thread.

It prints one JSON line, the last on stdout, where "round_s" is the median of the rounds but the first:

    {"peer": "...", "rounds": ..., "round_s": ..., "train_loss": ...}

If a package is missing it exits with code 3 and names it on stderr.
"""

import functools
import gzip
import importlib
import importlib.metadata
import itertools
import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

# Before the package is imported, here and in Ray's workers.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"


def missing(error):
    print(f"missing Python package: {error.name}", file=sys.stderr)
    sys.exit(3)


try:
    import numpy as np
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    missing(error)

CLIENTS = 100
COHORT = 10
BATCH = 32
LEARNING_RATE = 0.05


@functools.cache
def images(folder):
    """Every training image, standardised, and its label."""
    with gzip.open(Path(folder) / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    with gzip.open(Path(folder) / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(), np.uint8, offset=8)
    scaled = pixels.astype(np.float32) / 255.0
    scaled = (scaled - scaled.mean()) / scaled.std()
    return torch.from_numpy(scaled), torch.from_numpy(labels.astype(np.int64))


def rows(folder, client):
    x, y = images(folder)
    return x[client::CLIENTS], y[client::CLIENTS]


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


@functools.cache
def worker_network():
    """A worker process's network, built once."""
    return network()


def train(model, x, y):
    """One local epoch; gives back the mean loss over its images."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)
    total = 0.0
    for batch in torch.randperm(len(x)).split(BATCH):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)


# Each peer gives back the clock before the first round and after each, and the last round's training loss.


def loop(folder, rounds, cores):
    torch.set_num_threads(1)
    model, draw = network(), random.Random(0)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images(folder)
    clock = [time.perf_counter()]
    for _ in range(rounds):
        mean = {name: torch.zeros_like(value) for name, value in state.items()}
        losses = []
        for client in draw.sample(range(CLIENTS), COHORT):
            model.load_state_dict(state)
            losses.append(train(model, *rows(folder, client)))
            for name, value in model.state_dict().items():
                mean[name] += value / COHORT
        state = mean
        clock.append(time.perf_counter())
    return clock, statistics.mean(losses)


def flower(folder, rounds, cores):
    import ray  # noqa: F401  (only to find out here whether the simulation extra is installed)
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    client_app, server_app = ClientApp(), ServerApp()
    clock, results = [], []

    @client_app.train()
    def train_client(message, context):
        torch.set_num_threads(1)
        x, y = rows(folder, context.node_config["partition-id"])
        model = worker_network()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        loss = train(model, x, y)
        metrics = {"num-examples": len(x), "loss": loss}
        content = {"arrays": ArrayRecord(model.state_dict()), "metrics": MetricRecord(metrics)}
        return Message(RecordDict(content), reply_to=message)

    @server_app.main()
    def serve(grid, context):
        strategy = FedAvg(fraction_train=COHORT / CLIENTS, fraction_evaluate=0.0, min_available_nodes=CLIENTS)
        result = strategy.start(
            grid,
            ArrayRecord(network().state_dict()),
            num_rounds=rounds,
            # Called before the first round and after each: it evaluates nothing.
            evaluate_fn=lambda *_: clock.append(time.perf_counter()),
        )
        results.append(result)

    backend = {
        "init_args": {"num_cpus": cores},
        "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
    }
    run_simulation(server_app, client_app, num_supernodes=CLIENTS, backend_config=backend)
    (result,) = results
    return clock, result.train_metrics_clientapp[rounds]["loss"]


PEERS = {
    # argument: (name, package whose version is given, how to run it)
    "loop": ("pytorch loop", "torch", loop),
    "flower": ("flower", "flwr", flower),
}


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in PEERS:
        sys.exit(f"usage: peer_mnist.py {'|'.join(PEERS)} DATA ROUNDS CORES")
    name, package, run = PEERS[sys.argv[1]]
    folder, rounds, cores = str(Path(sys.argv[2]).resolve()), int(sys.argv[3]), int(sys.argv[4])
    try:
        clock, train_loss = run(folder, rounds, cores)
    except ModuleNotFoundError as error:
        missing(error)
    seconds = [after - before for before, after in itertools.pairwise(clock)]
    line = {
        "peer": f"{name} {importlib.metadata.version(package)}",
        "rounds": len(seconds),
        "round_s": statistics.median(seconds[1:]),
        "train_loss": train_loss,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    # Under its own name rather than __main__, Ray's workers import this file and so keep its
    # caches. Neither import is to leave a __pycache__ beside it.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    module = importlib.import_module(Path(__file__).stem)
    sys.dont_write_bytecode = False
    module.main()
