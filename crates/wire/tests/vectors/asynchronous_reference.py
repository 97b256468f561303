"""Reference values for asynchronous servers, written in float64 NumPy from the papers:

  FedBuff    Algorithm 1 of Nguyen et al. 2022, arXiv 2106.06639, with the staleness of its section 5:
             a client's update counts 1 / sqrt(1 + staleness), here (1 + staleness)^-a
  FedAsync   Algorithm 1 of Xie, Koyejo, Gupta 2019, arXiv 1903.03934, with the polynomial s of section 5.2

Both servers are loops over arrivals, as in the papers: an arrival says from which version a client began
(0 is the first) and how far it went. FedBuff gathers arrivals in a buffer; FedAsync mixes in the
client's whole model at once. Models and steps are multiples of 1/1024; expected values have 12
significant digits.

Run with:  python asynchronous_reference.py > asynchronous.json
"""

import json

import numpy as np

DIM = 7


def on_grid(values):
    return np.round(np.asarray(values) * 1024) / 1024


def fedbuff(first, arrivals, learning_rate, buffer, staleness):
    versions, gathered = [first], []
    for arrival in arrivals:
        age = len(versions) - 1 - arrival["version"]
        gathered.append((1 + age) ** -staleness * np.array(arrival["went"]))
        if len(gathered) == buffer:
            versions.append(versions[-1] + learning_rate * sum(gathered) / buffer)
            gathered = []
    return versions[1:]


def fedasync(first, arrivals, mixing, staleness):
    versions = [first]
    for arrival in arrivals:
        age = len(versions) - 1 - arrival["version"]
        model = versions[arrival["version"]] + np.array(arrival["went"])
        alpha = mixing * (1 + age) ** -staleness
        versions.append((1 - alpha) * versions[-1] + alpha * model)
    return versions[1:]


def schedule(rng, count, buffer):
    """Arrivals in which each client began from any version that there was, none of them twice at a time."""
    arrivals = []
    for i in range(count):
        newest = i // buffer
        version = int(rng.integers(max(0, newest - 4), newest + 1))
        arrivals.append({"version": version, "went": on_grid(rng.normal(0.0, 0.5, DIM)).tolist()})
    return arrivals


CASES = [
    (1, {"name": "fedbuff", "learning_rate": 1.0, "buffer": 3, "staleness": 0.5}, 15),
    (2, {"name": "fedbuff", "learning_rate": 0.3, "buffer": 4, "staleness": 1.0}, 16),
    (3, {"name": "fedbuff", "learning_rate": 1.0, "buffer": 1, "staleness": 0.0}, 6),
    (4, {"name": "fedasync", "mixing": 0.6, "staleness": 0.5}, 9),
    (5, {"name": "fedasync", "mixing": 0.9, "staleness": 0.0}, 9),
    (6, {"name": "fedasync", "mixing": 1.0, "staleness": 2.0}, 9),
]


def case(seed, strategy, count):
    rng = np.random.default_rng(seed)
    first = on_grid(rng.normal(0.0, 1.0, DIM))
    arrivals = schedule(rng, count, strategy.get("buffer", 1))
    keys = {key: value for key, value in strategy.items() if key != "name"}
    versions = {"fedbuff": fedbuff, "fedasync": fedasync}[strategy["name"]](first, arrivals, **keys)
    printed = [[float(f"{value:.12g}") for value in version] for version in versions]
    return {"strategy": strategy, "first": first.tolist(), "arrivals": arrivals, "expected": printed}


print("[" + ",\n".join(json.dumps(case(*it), separators=(",", ":")) for it in CASES) + "]")
