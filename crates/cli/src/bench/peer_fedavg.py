"""Federated averaging on people's daily activity, done by three Python peers.

Run with numpy, torch and the peer's own package (none, pfl, or flwr[simulation]) installed:

    python peer_fedavg.py loop|pfl|flower DATA.csv ROUNDS [COHORT]

loop is the plainest PyTorch loop, pfl is pfl-research's SimulatedBackend in one process, flower is
Flower's run_simulation with its default backend and settings. DATA.csv is Fitbit's
dailyActivity_merged.csv or a table like it; each person (Id) is a client, days with neither steps nor calories are left out, and the ten
features and the target (Calories) are standardised by their mean and population standard deviation
over all rows.

All three do the same work: an MLP 10-64-64-32-1 from one seed, COHORT people drawn anew in every
round, or everybody, one local epoch in batches of 32 in the file's order, a fresh Adam(1e-3),
Huber(0.5), local models averaged by number of rows, PyTorch on one thread. So with everybody their
final losses should agree but for rounding. No round evaluates the model, except that pfl cannot
skip it in its first.

It prints one JSON line, the last on stdout:

    {"peer": "pytorch loop"|"pfl-research"|"flower", "version": "...", "rounds": ...,
     "round_s": ..., "total_s": ..., "train_loss": ...}

"round_s" is the median seconds per round without the first, "total_s" runs from the start of the
process to the end, "train_loss" is the final global model's mean loss over all rows. If a package
is missing it exits with code 3 and names it on stderr.
"""

import time

IMPORTED = time.perf_counter()

import csv
import functools
import importlib
import importlib.metadata
import itertools
import json
import os
import random
import statistics
import sys
from pathlib import Path

# Before either package is imported, here and in Ray's workers.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

MISSING_PACKAGE = 3


def missing(error):
    print(f"missing Python package: {error.name}", file=sys.stderr)
    sys.exit(MISSING_PACKAGE)


try:
    import numpy as np
    import torch
    from torch import nn
except ModuleNotFoundError as error:
    missing(error)

FEATURES = [
    "TotalSteps",
    "TotalDistance",
    "TrackerDistance",
    "VeryActiveDistance",
    "ModeratelyActiveDistance",
    "LightActiveDistance",
    "VeryActiveMinutes",
    "FairlyActiveMinutes",
    "LightlyActiveMinutes",
    "SedentaryMinutes",
]
TARGET = "Calories"
BATCH = 32
LEARNING_RATE = 1e-3
loss_of = nn.HuberLoss(delta=0.5)


@functools.cache
def people(path):
    """Each person's (features, target), standardised, in order of first appearance."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if float(row["TotalSteps"]) or float(row[TARGET])]
    table = np.array([[float(row[name]) for name in (*FEATURES, TARGET)] for row in rows])
    table = torch.from_numpy((table - table.mean(axis=0)) / table.std(axis=0)).float()

    indices = {}
    for index, row in enumerate(rows):
        indices.setdefault(row["Id"], []).append(index)
    return [(table[own, :-1], table[own, -1:]) for own in indices.values()]


class Mlp(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Linear(10, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 32),
            nn.ReLU(),
            nn.Linear(32, 1),
        )

    # What pfl-research asks of a model.
    def loss(self, x, y):
        return loss_of(self(x), y)

    def metrics(self, x, y):
        return {"loss": self.loss(x, y).item()}


def initial_model():
    torch.manual_seed(0)
    return Mlp()


@functools.cache
def worker_model():
    """A Flower worker process's model, built once."""
    torch.set_num_threads(1)
    return Mlp()


def train(model, x, y):
    """One local epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for batch_x, batch_y in zip(x.split(BATCH), y.split(BATCH)):
        optimizer.zero_grad()
        model.loss(batch_x, batch_y).backward()
        optimizer.step()


# Each peer gives back the final model and the clock before the first round and after each one.


def loop(path, rounds, cohort):
    model = initial_model()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    numbers = random.Random(0)
    clock = [time.perf_counter()]
    for _ in range(rounds):
        asked = numbers.sample(people(path), cohort)
        total = sum(len(x) for x, _ in asked)
        mean = {name: torch.zeros_like(value) for name, value in state.items()}
        for x, y in asked:
            model.load_state_dict(state)
            train(model, x, y)
            for name, value in model.state_dict().items():
                mean[name] += len(x) / total * value
        state = mean
        clock.append(time.perf_counter())
    model.load_state_dict(state)
    return model, clock


def pfl(path, rounds, cohort):
    from pfl.aggregate.simulate import SimulatedBackend
    from pfl.aggregate.weighting import WeightByDatapoints
    from pfl.algorithm.base import NNAlgorithmParams
    from pfl.algorithm.federated_averaging import FederatedAveraging
    from pfl.callback.base import TrainingProcessCallback
    from pfl.data.federated_dataset import FederatedDataset
    from pfl.data.pytorch import PyTorchTensorDataset
    from pfl.data.sampling import get_user_sampler
    from pfl.hyperparam.base import NNTrainHyperParams
    from pfl.metrics import Metrics
    from pfl.model.pytorch import PyTorchModel

    users = [PyTorchTensorDataset(tensors) for tensors in people(path)]
    # This sampler asks nobody again before everybody has been asked.
    sampler = get_user_sampler("minimize_reuse", list(range(len(users))))
    dataset = FederatedDataset(users.__getitem__, sampler)
    clock = []

    class Clock(TrainingProcessCallback):
        def on_train_begin(self, *, model):
            clock.append(time.perf_counter())
            return Metrics()

        def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
            clock.append(time.perf_counter())
            return False, Metrics()

    module = initial_model()
    FederatedAveraging().run(
        NNAlgorithmParams(
            central_num_iterations=rounds,
            evaluation_frequency=rounds + 1,
            train_cohort_size=cohort,
            val_cohort_size=None,
        ),
        SimulatedBackend(dataset, dataset, postprocessors=[WeightByDatapoints()]),
        PyTorchModel(
            module,
            local_optimizer_create=torch.optim.Adam,
            central_optimizer=torch.optim.SGD(module.parameters(), lr=1.0),
        ),
        NNTrainHyperParams(
            local_batch_size=BATCH, local_num_epochs=1, local_learning_rate=LEARNING_RATE
        ),
        callbacks=[Clock()],
        send_metrics_to_platform=False,
    )
    return module, clock


def flower(path, rounds, cohort):
    import ray  # noqa: F401  (only to find out here whether the simulation extra is installed)
    from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    clients = len(people(path))
    client_app = ClientApp()
    server_app = ServerApp()
    clock, results = [], []

    @client_app.train()
    def train_client(message, context):
        x, y = people(path)[context.node_config["partition-id"]]
        model = worker_model()
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        train(model, x, y)
        content = {
            "arrays": ArrayRecord(model.state_dict()),
            "metrics": MetricRecord({"num-examples": len(x)}),
        }
        return Message(RecordDict(content), reply_to=message)

    @server_app.main()
    def serve(grid, context):
        strategy = FedAvg(
            fraction_train=cohort / clients,
            fraction_evaluate=0.0,
            # A share is taken of those who are there when it begins: no fewer than these.
            min_train_nodes=cohort,
            min_available_nodes=clients,
            train_metrics_aggr_fn=lambda replies, _: MetricRecord({"clients": len(replies)}),
        )
        result = strategy.start(
            grid,
            ArrayRecord(initial_model().state_dict()),
            num_rounds=rounds,
            # Called before the first round and after each: it evaluates nothing.
            evaluate_fn=lambda *_: clock.append(time.perf_counter()),
        )
        results.append(result)

    run_simulation(server_app, client_app, num_supernodes=clients)
    (result,) = results
    counts = [result.train_metrics_clientapp[i]["clients"] for i in range(1, rounds + 1)]
    if counts != [cohort] * rounds:
        raise RuntimeError(f"not everybody who was asked answered: {counts}")
    model = initial_model()
    model.load_state_dict(result.arrays.to_torch_state_dict())
    return model, clock


PEERS = {
    # argument: (name, package whose version is given, how to run it)
    "loop": ("pytorch loop", "torch", loop),
    "pfl": ("pfl-research", "pfl", pfl),
    "flower": ("flower", "flwr", flower),
}


def seconds_since_process_start():
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    except (OSError, AttributeError):  # not Linux: the interpreter's own start is left out
        return time.perf_counter() - IMPORTED


def main():
    numbers = sys.argv[3:]
    asked = len(numbers) in (1, 2) and all(number.isdecimal() for number in numbers)
    if not asked or sys.argv[1] not in PEERS:
        sys.exit(f"usage: peer_fedavg.py {'|'.join(PEERS)} DATA.csv ROUNDS [COHORT]")
    name, package, run = PEERS[sys.argv[1]]
    path, rounds = str(Path(sys.argv[2]).resolve()), int(numbers[0])
    cohort = int(numbers[1]) if len(numbers) > 1 else len(people(path))
    if rounds < 2:
        sys.exit("at least two rounds are needed: the first is not counted")

    torch.set_num_threads(1)
    try:
        model, clock = run(path, rounds, cohort)
    except ModuleNotFoundError as error:
        missing(error)

    x, y = (torch.cat(parts) for parts in zip(*people(path)))
    with torch.no_grad():
        train_loss = model.loss(x, y).item()
    seconds = [after - before for before, after in itertools.pairwise(clock)]
    line = {
        "peer": name,
        "version": importlib.metadata.version(package),
        "rounds": rounds,
        "round_s": round(statistics.median(seconds[1:]), 6),
        "total_s": round(seconds_since_process_start(), 3),
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
