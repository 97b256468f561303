"""How long one training step takes in PyTorch, on one thread.

Run with PyTorch installed:

    python peer_step.py fitbit-mlp|news-mlp|mnist-cnn|resnet18|resnet18-channels-last

A step is zero_grad, forward, loss, backward and optimiser step on one fixed batch. After a warm-up,
some runs of some steps are timed. It prints one JSON line:

    {"peer": "pytorch", "version": "...", "what": "fitbit-mlp step",
     "us": ..., "added_bytes": ..., "peak_bytes": ...}

"us" is the median run's microseconds per step, "peak_bytes" the most memory that the process held, and
"added_bytes" how much of it model, batch and steps added: pages of program files are left out, and so is
what PyTorch loads when a first, small network takes a step.

Without PyTorch it exits with code 3 and says so on stderr.
"""

import json
import statistics
import sys
import time
from pathlib import Path

try:
    import torch
except ModuleNotFoundError as error:
    print(f"missing Python package: {error.name}", file=sys.stderr)
    sys.exit(3)


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


def news_mlp():
    """MLP 5-16-4, batch 32, cross-entropy, Adam(1e-3)."""
    model = torch.nn.Sequential(torch.nn.Linear(5, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return step_of(model, torch.nn.CrossEntropyLoss(), optimizer, torch.randn(32, 5), torch.arange(32) % 4)


def mnist_cnn():
    """5x5 convolutions with 32 and 64 channels, pooled, then 512 and 10 units; batch 32, SGD(0.01)."""
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 5, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(3136, 512),
        torch.nn.ReLU(),
        torch.nn.Linear(512, 10),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return step_of(model, torch.nn.CrossEntropyLoss(), optimizer, torch.randn(32, 1, 28, 28), torch.arange(32) % 10)


class BasicBlock(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.relu = torch.nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            conv = torch.nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x if self.downsample is None else self.downsample(x)))


def resnet18(memory_format=torch.contiguous_format):
    """ResNet-18 for 32x32 images, batch 32, SGD(0.01, momentum 0.9)."""
    layers = [torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(64), torch.nn.ReLU(inplace=True)]
    inputs = 64
    for outputs, stride in [(64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)]:
        layers.append(BasicBlock(inputs, outputs, stride))
        inputs = outputs
    layers += [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 10)]
    model = torch.nn.Sequential(*layers).to(memory_format=memory_format)
    x = torch.randn(32, 3, 32, 32).to(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return step_of(model, torch.nn.CrossEntropyLoss(), optimizer, x, torch.arange(32) % 10)


# What can be measured: each entry builds its model and data and gives back one step to call; then runs, and steps of a run.
WORKLOADS = {
    "fitbit-mlp": (fitbit_mlp, 31, 200),
    "news-mlp": (news_mlp, 31, 200),
    "mnist-cnn": (mnist_cnn, 9, 8),
    "resnet18": (resnet18, 5, 1),
    "resnet18-channels-last": (lambda: resnet18(torch.channels_last), 5, 1),
}


def microseconds_per_step(step, runs, steps):
    for _ in range(3 * steps):
        step()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        for _ in range(steps):
            step()
        times.append((time.perf_counter() - started) / steps * 1e6)
    return statistics.median(times)


def memory_bytes():
    """What the system says about this process's memory."""
    fields = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {field[0].rstrip(":"): int(field[1]) * 1024 for field in fields if field[-1] == "kB"}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in WORKLOADS:
        sys.exit(f"usage: peer_step.py {'|'.join(WORKLOADS)}")
    what = sys.argv[1]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make, runs, steps = WORKLOADS[what]
    news_mlp()()
    before = memory_bytes()
    us = round(microseconds_per_step(make(), runs, steps), 2)
    after = memory_bytes()
    line = {
        "peer": "pytorch",
        "version": torch.__version__,
        "what": f"{what} step",
        "us": us,
        "added_bytes": after["VmHWM"] - after["RssFile"] - before["RssAnon"],
        "peak_bytes": after["VmHWM"],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
