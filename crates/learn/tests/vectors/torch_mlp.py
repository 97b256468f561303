"""PyTorch's answers for small multi-layer perceptrons, as a test vector.

The networks are Linear layers with ReLU between them and none at the end. Everything is computed
in float64 from inputs that float32 holds exactly, so that a float32 trainer can be held against it:
the loss, its gradient, and the parameters after three full-batch steps of SGD and of Adam.

Run again with PyTorch installed:

    python torch_mlp.py

It writes torch_mlp.json beside itself and prints, for every case, the seed it settled on, how near
any ReLU input comes to zero, and how far PyTorch's own float32 run lands from the float64 one.

Seeds are tried in order until no ReLU input lies within MARGIN of zero at any point of the run:
nearer than that, float32 rounding could put it on the other side, where the gradient is another.
Flat vectors follow state_dict: 0.weight (outputs x inputs, row-major), 0.bias, 2.weight, ...
"""

import itertools
import json
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

MARGIN = 1e-5
MSE = {"name": "mse"}
CASES = [
    # name, dims, batch, loss, targets far away, stride of the long outputs
    ("fitbit", [10, 64, 64, 32, 1], 32, {"name": "huber", "delta": 0.5}, False, 7),
    ("two-outputs-mse", [3, 5, 2], 7, MSE, False, 1),
    ("linear-huber", [4, 1], 3, {"name": "huber", "delta": 1.0}, False, 1),
    ("both-huber-branches", [17, 33, 9, 3], 13, {"name": "huber", "delta": 0.5}, True, 1),
    ("single-row-mse", [6, 16, 1], 1, MSE, False, 1),
]
STEPS = 3
OPTIMIZERS = [
    {"name": "sgd", "learning_rate": 0.05},
    {"name": "adam", "learning_rate": 0.001, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
]


def network(dims):
    layers = []
    for inputs, outputs in itertools.pairwise(dims):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def loss_of(loss, prediction, target):
    if loss["name"] == "mse":
        return F.mse_loss(prediction, target)
    return F.huber_loss(prediction, target, delta=loss["delta"])


def optimizer_of(spec, parameters):
    if spec["name"] == "sgd":
        return torch.optim.SGD(parameters, lr=spec["learning_rate"])
    betas = (spec["beta1"], spec["beta2"])
    return torch.optim.Adam(parameters, lr=spec["learning_rate"], betas=betas, eps=spec["epsilon"])


def run(dims, loss, x, y, params, dtype):
    """The loss, the gradient, the parameters after each optimiser, and the nearest ReLU input."""
    x, y = x.to(dtype), y.to(dtype)
    nearest = [float("inf")]

    def fresh():
        model = network(dims).to(dtype)
        # A copy: the parameters become views of the vector, and the optimiser writes to them.
        nn.utils.vector_to_parameters(params.to(dtype, copy=True), model.parameters())
        for layer in model:
            if isinstance(layer, nn.ReLU):
                layer.register_forward_pre_hook(
                    lambda _, inputs: nearest.append(inputs[0].abs().min().item())
                )
        return model

    model = fresh()
    value = loss_of(loss, model(x), y)
    gradient = nn.utils.parameters_to_vector(torch.autograd.grad(value, model.parameters()))

    after = []
    for spec in OPTIMIZERS:
        model = fresh()
        optimizer = optimizer_of(spec, model.parameters())
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(loss, model(x), y).backward()
            optimizer.step()
        after.append(nn.utils.parameters_to_vector(model.parameters()).detach())
    return value.item(), gradient, after, min(nearest)


def strided(vector, stride):
    return {"stride": stride, "values": [float(f"{v:.9g}") for v in vector[::stride].tolist()]}


def case(name, dims, batch, loss, far, stride):
    for seed in itertools.count():
        torch.manual_seed(seed)
        params = nn.utils.parameters_to_vector(network(dims).parameters()).detach()
        x = torch.randn(batch, dims[0])
        y = torch.randn(batch, dims[-1])
        if far:
            y[::3] *= 8
        value, gradient, after, nearest = run(dims, loss, x, y, params, torch.float64)
        if nearest > MARGIN:
            break

    _, gradient32, after32, _ = run(dims, loss, x, y, params, torch.float32)
    errors = [(a - b).abs().max() for a, b in zip([gradient, *after], [gradient32, *after32])]
    names = ["gradient", *(spec["name"] for spec in OPTIMIZERS)]
    print(f"{name}: seed {seed}, nearest ReLU input {nearest:.1e}, float32 off by", end=" ")
    print(", ".join(f"{n} {e:.1e}" for n, e in zip(names, errors)))

    return {
        "name": name,
        "dims": dims,
        "batch": batch,
        "loss": loss,
        "x": x.double().flatten().tolist(),
        "y": y.double().flatten().tolist(),
        "params": params.double().tolist(),
        "loss_value": value,
        "gradient": strided(gradient, stride),
        "steps": [
            {"optimizer": spec, "count": STEPS, "params": strided(vector, stride)}
            for spec, vector in zip(OPTIMIZERS, after)
        ],
    }


def main():
    torch.set_num_threads(1)
    vectors = {"torch": torch.__version__, "cases": [case(*each) for each in CASES]}
    text = json.dumps(vectors, sort_keys=True, separators=(",", ":"))
    Path(__file__).with_suffix(".json").write_text(text + "\n")


if __name__ == "__main__":
    main()
