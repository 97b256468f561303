"""Prints what Python's safetensors finds in a file, as JSON: `python3 read.py FILE`."""

import json
import sys

import numpy as np
from safetensors import deserialize, safe_open


def values(tensor):
    data = bytes(tensor["data"])
    if tensor["dtype"] == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    assert tensor["dtype"] == "F32", tensor["dtype"]
    return np.frombuffer(data, "<f4")


with open(sys.argv[1], "rb") as file:
    found = deserialize(file.read())
tensors = {name: {"shape": list(t["shape"]), "values": values(t).tolist()} for name, t in found}
with safe_open(sys.argv[1], framework="numpy") as file:
    metadata = file.metadata()
    for name, tensor in tensors.items():
        if dict(found)[name]["dtype"] == "F32":
            assert file.get_tensor(name).ravel().tolist() == tensor["values"]
about = json.loads(metadata.pop("dure"))
print(json.dumps({"tensors": tensors, "about": about, "other metadata": metadata}))
