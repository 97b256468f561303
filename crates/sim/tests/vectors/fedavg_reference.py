"""Federated averaging in plain NumPy float64, to hold a simulator's rounds against.

FedAvg is Algorithm 1 of McMahan et al., "Communication-Efficient Learning of Deep Networks from
Decentralized Data" (2017), with every client taking part in every round, Adam as the local
optimiser (begun afresh for each client and round) and a server learning rate. The model is a
multi-layer perceptron with ReLU between its layers and one output; the loss is Huber's, averaged
over the batch.

Run with numpy and safetensors installed:

    python fedavg_reference.py INPUT.safetensors OUTPUT.safetensors

INPUT holds "initial" [P] (flat parameters: weights of layer one as outputs x inputs, row-major, its
biases, then layer two, ...) and for each client N "N.x" [n, features], "N.y" [n] and "N.order"
[rounds * epochs, n], the order of its rows in each local epoch, round by round. The metadata key
"dure" is a JSON object with dims, rounds, epochs, batch_size, learning_rate, delta and
server_learning_rate. OUTPUT gets "round_1" .. "round_R", the global parameters after each round as
float32. It prints one line: the numbers of clients, rows, parameters and rounds.
"""

import itertools
import json
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def layers_of(flat, dims):
    """The (weight, bias) views of a flat parameter vector."""
    layers, at = [], 0
    for inputs, outputs in itertools.pairwise(dims):
        weight = flat[at : at + outputs * inputs].reshape(outputs, inputs)
        at += weight.size
        layers.append((weight, flat[at : at + outputs]))
        at += outputs
    assert at == flat.size, f"{flat.size} parameters given, the dimensions need {at}"
    return layers


def gradient(flat, dims, delta, x, y):
    """The gradient of the mean Huber loss, flat."""
    layers = layers_of(flat, dims)
    inputs = [x]
    for index, (weight, bias) in enumerate(layers):
        z = inputs[-1] @ weight.T + bias
        inputs.append(np.maximum(z, 0) if index + 1 < len(layers) else z)

    # Huber's derivative is the error itself, cut off at delta on either side.
    error = inputs.pop() - y[:, None]
    upstream = np.clip(error, -delta, delta) / error.size

    result = np.empty_like(flat)
    pairs = list(zip(layers, layers_of(result, dims), inputs))
    for (weight, _), (weight_gradient, bias_gradient), layer_input in reversed(pairs):
        weight_gradient[:] = upstream.T @ layer_input
        bias_gradient[:] = upstream.sum(axis=0)
        # Past the first layer the input is a ReLU's output: positive exactly where it let through.
        upstream = (upstream @ weight) * (layer_input > 0)
    return result


def train(start, config, x, y, orders):
    """One client's parameters after its local epochs, one row order each."""
    flat = start.copy()
    mean, square = np.zeros_like(flat), np.zeros_like(flat)
    step = 0
    for order in orders:
        for first in range(0, len(order), config["batch_size"]):
            rows = order[first : first + config["batch_size"]]
            g = gradient(flat, config["dims"], config["delta"], x[rows], y[rows])
            step += 1
            mean = BETA1 * mean + (1 - BETA1) * g
            square = BETA2 * square + (1 - BETA2) * g * g
            denominator = np.sqrt(square) / np.sqrt(1 - BETA2**step) + EPSILON
            flat -= config["learning_rate"] / (1 - BETA1**step) * mean / denominator
    return flat


def fedavg(initial, config, clients):
    """The global parameters after each round."""
    epochs = config["epochs"]
    rows = sum(len(y) for _, y, _ in clients)
    params, rounds = initial, []
    for index in range(config["rounds"]):
        mean = np.zeros_like(params)
        for x, y, orders in clients:
            local = train(params, config, x, y, orders[index * epochs : (index + 1) * epochs])
            mean += len(y) / rows * (local - params)
        params = params + config["server_learning_rate"] * mean
        rounds.append(params)
    return rounds


def main(source, target):
    with safe_open(source, "numpy") as file:
        config = json.loads(file.metadata()["dure"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    initial = tensors["initial"].astype(np.float64)

    clients = []
    for name in sorted(key.removesuffix(".x") for key in tensors if key.endswith(".x")):
        x, y, orders = (tensors[f"{name}.{part}"] for part in ("x", "y", "order"))
        assert x.shape == (len(y), config["dims"][0]), f"{name}: x has shape {x.shape}"
        expected = np.broadcast_to(np.arange(len(y)), (config["rounds"] * config["epochs"], len(y)))
        assert np.array_equal(np.sort(orders), expected), f"{name}: order is not row permutations"
        clients.append((x.astype(np.float64), y.astype(np.float64), orders))

    rounds = fedavg(initial, config, clients)
    save_file({f"round_{i}": p.astype(np.float32) for i, p in enumerate(rounds, 1)}, target)
    rows = sum(len(y) for _, y, _ in clients)
    print(f"{len(clients)} clients, {rows} rows, {initial.size} parameters, {len(rounds)} rounds")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: fedavg_reference.py INPUT.safetensors OUTPUT.safetensors")
    main(*sys.argv[1:])
