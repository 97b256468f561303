"""How long one training step takes in PyTorch, on one thread.

Run with PyTorch installed:

    python peer_step.py fitbit-mlp

A step is zero_grad, forward, loss, backward and optimiser step on one fixed batch. After a warm-up,
REPEATS runs of STEPS steps are timed. It prints one JSON line, where "us" is the median run's
microseconds per step:

    {"peer": "pytorch", "version": "...", "what": "fitbit-mlp step", "us": ...}

Without PyTorch it exits with code 3 and says so on stderr.
"""

import json
import statistics
import sys
import time

try:
    import torch
except ModuleNotFoundError as error:
    print(f"missing Python package: {error.name}", file=sys.stderr)
    sys.exit(3)

REPEATS = 31
STEPS = 200
WARM_UP = 500


def step_of(model, loss_of, optimizer, x, y):
    def step():
        optimizer.zero_grad()
        loss_of(model(x), y).backward()
        optimizer.step()

    return step


def fitbit_mlp():
    """MLP 10-64-64-32-1, batch 32, Huber(0.5), Adam(1e-3)."""
    model = torch.nn.Sequential(
        torch.nn.Linear(10, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 64),
        torch.nn.ReLU(),
        torch.nn.Linear(64, 32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    x, y = torch.randn(32, 10), torch.randn(32, 1)
    return step_of(model, torch.nn.HuberLoss(delta=0.5), optimizer, x, y)


# What can be measured: each entry builds its model and data and gives back one step to call.
WORKLOADS = {"fitbit-mlp": fitbit_mlp}


def microseconds_per_step(step):
    for _ in range(WARM_UP):
        step()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        times.append((time.perf_counter() - started) / STEPS * 1e6)
    return statistics.median(times)


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in WORKLOADS:
        sys.exit(f"usage: peer_step.py {'|'.join(WORKLOADS)}")
    what = sys.argv[1]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    line = {
        "peer": "pytorch",
        "version": torch.__version__,
        "what": f"{what} step",
        "us": round(microseconds_per_step(WORKLOADS[what]()), 2),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
