"""Writes the files of this folder that Python's safetensors made: `python3 make.py`, with numpy and safetensors.

`tests/python.rs` reads them and knows what is in them.
"""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np
from safetensors import TensorSpec, serialize
from safetensors.numpy import save

HERE = Path(__file__).parent
BASE = hashlib.sha256(b"base").hexdigest()
# Exact in bf16 too.
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
BIAS = np.array([0.5, -1024.0], dtype=np.float32)


def about(codec):
    update = {"kind": "update", "version": 1, "codec": codec, "base": BASE, "weight": 24, "scalars": {"train_loss": 0.25}}
    return json.dumps(update)


def tensors():
    return {"delta/layers.0.weight": WEIGHT, "delta/layers.0.bias": BIAS}


def f32():
    return save(tensors(), metadata={"dure": about("f32")})


def bf16():
    """numpy has no bf16: its bits are the upper half of an f32's."""
    halves = {name: (tensor.view(np.uint32) >> 16).astype(np.uint16) for name, tensor in tensors().items()}
    specs = {
        name: TensorSpec(dtype="bfloat16", shape=half.shape, data_ptr=half.ctypes.data, data_len=half.nbytes)
        for name, half in halves.items()
    }
    return serialize(specs, metadata={"dure": about("bf16")})


def by_hand():
    """No library at all: tensors as they come, an indented header without padding, metadata last."""
    header, data = {}, b""
    for name, tensor in tensors().items():
        offsets = [len(data), len(data) + tensor.nbytes]
        header[name] = {"shape": tensor.shape, "dtype": "F32", "data_offsets": offsets}
        data += tensor.tobytes()
    header["__metadata__"] = {"written by": "hand", "dure": about("f32")}
    text = json.dumps(header, indent=2).encode()
    return struct.pack("<Q", len(text)) + text + data


def model():
    order = ["layers.0.weight", "layers.0.bias"]
    about = {"target": "calories", "means": [0.1, 3]}
    entry = {"kind": "model", "version": 1, "order": order, "about": about}
    named = dict(zip(order, [WEIGHT, BIAS]))
    return save(named, metadata={"dure": json.dumps(entry)})


if __name__ == "__main__":
    (HERE / "python_update_f32.safetensors").write_bytes(f32())
    (HERE / "python_update_bf16.safetensors").write_bytes(bf16())
    (HERE / "python_update_by_hand.safetensors").write_bytes(by_hand())
    (HERE / "python_model.safetensors").write_bytes(model())
