"""PyTorch's answers for whole networks and for each kind of layer, as a test vector.

Everything is computed in float64 from numbers that float32 holds exactly, so that a float32 engine
can be held against it. Parameters and inputs are made from their places by an integer hash, on both
sides alike, so that none of them has to be written down; of each tensor's gradient its norm and some
values are; and how far PyTorch's own float32 lands from its float64.

Run again with PyTorch and torchvision installed:

    python torch_network.py

It writes torch_network.json beside itself. Names and shapes are those of `state_dict`, without the
counters `num_batches_tracked`.
"""

import copy
import json
import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torchvision.models import resnet18, resnet50

SAMPLES = 8
MASK = (1 << 64) - 1


def mix(keys):
    """The finaliser of SplitMix64, on an array."""
    with np.errstate(over="ignore"):
        z = keys.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def made_up(first, count):
    """Numbers from -1 to below 1, of 24 bits each: float32 holds them exactly."""
    drawn = mix(np.arange(first, first + count, dtype=np.uint64)) >> np.uint64(40)
    return drawn.astype(np.float64) / (1 << 23) - 1.0


def fill(model):
    """Gives every parameter and statistic a value that is made from its place."""
    tensors, start = [], 0
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        values = made_up(start, tensor.numel()).reshape(tensor.shape)
        start += tensor.numel()
        if tensor.dim() > 1:
            # A power of two near He's bound.
            values = values * 2.0 ** round(math.log2(math.sqrt(6.0 / tensor[0].numel())))
        elif name.endswith(("running_var",)) or (name.endswith("weight") and tensor.dim() == 1):
            values = 1.0 + values / 8.0
        else:
            values = values / 8.0
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(values))
        tensors.append(name)
    return tensors


def sample(tensor):
    flat = tensor.detach().reshape(-1)
    stride = max(1, flat.numel() // SAMPLES)
    return {"norm": flat.norm().item(), "stride": stride, "values": flat[::stride].tolist()}


def gradients_in(dtype, model, x, labels, loss_of):
    model = copy.deepcopy(model).to(dtype)
    loss_of(model(x.to(dtype)).double(), labels).backward()
    return {name: tensor.grad.double() for name, tensor in model.named_parameters()}


def off_in_single(model, x, labels, loss_of):
    """How far float32 takes PyTorch itself from float64: the worst tensor's gradient, relative to its norm."""
    single, double = (gradients_in(dtype, model, x, labels, loss_of) for dtype in (torch.float32, torch.float64))
    return max(((single[name] - want).norm() / want.norm()).item() for name, want in double.items())


def case(name, spec, input_shape, batch, classes, model, loss, loss_of):
    model = model.double().train()
    names = fill(model)
    width = math.prod(input_shape)
    x = torch.from_numpy(made_up(1 << 32, batch * width)).reshape(batch, *input_shape)
    labels = torch.arange(batch) % classes
    off = off_in_single(model, x, labels, loss_of)
    said = model(x)
    value = loss_of(said, labels)
    value.backward()
    tensors = []
    parameters, state = dict(model.named_parameters()), model.state_dict()
    for tensor in names:
        entry = {"name": tensor, "shape": list(state[tensor].shape)}
        if tensor in parameters:
            entry["gradient"] = sample(parameters[tensor].grad)
        else:
            # A statistic: what it is after the pass.
            entry["after"] = sample(state[tensor])
        tensors.append(entry)
    model.eval()
    with torch.no_grad():
        evaluated = model(x)
    print(name, value.item(), off)
    return {
        "name": name, "model": spec, "input": list(input_shape), "batch": batch, "classes": classes,
        "outputs": said.shape[1], "loss": loss, "off_in_single": off, "loss_value": value.item(), "said": sample(said),
        "evaluated": sample(evaluated), "tensors": tensors,
    }


class Numbered(nn.Module):
    """An nn.Sequential called `layers`."""

    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 5, padding=2)
        self.conv2 = nn.Conv2d(32, 64, 5, padding=2)
        self.fc1 = nn.Linear(3136, 512)
        self.fc2 = nn.Linear(512, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def small(network):
    network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    network.maxpool = nn.Identity()
    return network


CE = {"name": "cross_entropy"}


def layers(*specs):
    return {"name": "layers", "layers": list(specs)}


def linear(units, **more):
    return {"layer": "linear", "units": units, **more}


def conv(channels, kernel, **more):
    return {"layer": "conv2d", "channels": channels, "kernel": kernel, **more}


def cases():
    ce = nn.functional.cross_entropy
    weights = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    yield case("logistic", {"name": "logistic"}, [7], 5, 3, Numbered(nn.Linear(7, 3)),
               {"name": "cross_entropy", "class_weights": [1.0, 0.5, 2.0]},
               lambda said, labels: nn.functional.cross_entropy(said, labels, weight=weights))
    yield case("bce", layers(linear(6), {"layer": "sigmoid"}, linear(4)), [5], 9, 4,
               Numbered(nn.Linear(5, 6), nn.Sigmoid(), nn.Linear(6, 4)), {"name": "bce_with_logits"},
               lambda said, labels: nn.functional.binary_cross_entropy_with_logits(
                   said, nn.functional.one_hot(labels, 4).double()))
    yield case("tanh-batch-norm", layers(linear(6, bias=False), {"layer": "batch_norm"}, {"layer": "tanh"}, linear(3)),
               [5], 9, 3, Numbered(nn.Linear(5, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)), CE, ce)
    yield case("strides", layers(
        conv(8, 3, stride=2, padding=1), {"layer": "group_norm", "groups": 4}, {"layer": "relu"},
        conv(16, 1, stride=2), {"layer": "average_pool", "size": 2, "stride": 1},
        {"layer": "flatten"}, {"layer": "relu"}, linear(3)), [3, 11, 9], 4, 3, Numbered(
        nn.Conv2d(3, 8, 3, 2, 1), nn.GroupNorm(4, 8), nn.ReLU(), nn.Conv2d(8, 16, 1, 2), nn.AvgPool2d(2, 1),
        nn.Flatten(), nn.ReLU(), nn.Linear(16 * 2 * 2, 3)), CE, ce)
    yield case("overlapping-pool", layers(
        conv(16, 3, padding=1), {"layer": "max_pool", "size": 3, "stride": 2, "padding": 1},
        conv(32, 3, padding=1, bias=False), {"layer": "batch_norm"}, {"layer": "relu"}, conv(16, 3, padding=1),
        {"layer": "global_average_pool"}, {"layer": "flatten"}, linear(5)), [2, 12, 8], 3, 5, Numbered(
        nn.Conv2d(2, 16, 3, 1, 1), nn.MaxPool2d(3, 2, 1), nn.Conv2d(16, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32),
        nn.ReLU(), nn.Conv2d(32, 16, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)), CE, ce)
    yield case("five-by-five", layers(
        conv(16, 5, padding=2), {"layer": "relu"}, conv(32, 5, padding=2), {"layer": "relu"}, conv(16, 5, padding=2),
        {"layer": "global_average_pool"}, {"layer": "flatten"}, linear(5)), [2, 10, 6], 3, 5, Numbered(
        nn.Conv2d(2, 16, 5, 1, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 1, 2), nn.ReLU(), nn.Conv2d(32, 16, 5, 1, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)), CE, ce)
    yield case("cnn", {"name": "cnn"}, [1, 28, 28], 4, 10, Cnn(), CE, ce)
    yield case("resnet18", {"name": "resnet18"}, [3, 32, 32], 4, 10, small(resnet18(num_classes=10)), CE, ce)
    yield case("resnet50", {"name": "resnet50"}, [3, 32, 32], 4, 10, small(resnet50(num_classes=10)), CE, ce)


def main():
    torch.set_num_threads(1)
    made = list(cases())
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps({"torch": torch.__version__, "cases": made}) + "\n")
    print(path.stat().st_size, "bytes")


if __name__ == "__main__":
    with torch.no_grad():
        torch.zeros(1)
    torch.manual_seed(0)
    main()
