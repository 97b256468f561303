"""What a model's tensors weigh in Python's formats, and how long coding takes, on one thread.

Run with numpy, torch, safetensors and zstandard installed:

    python peer_codec.py MODEL.safetensors

MODEL has f32 tensors. Each format is written and read back to f32 tensors; times are medians, but of
JSON, which is written and read once because it takes long. `bf16 + zstd` is zstd's level 3 around the
bytes of torch's bf16 tensors, without pickle. It prints one JSON line, the last on stdout:

    {"peer": "...", "formats": {"JSON": {"bytes": ..., "encode_ms": ..., "decode_ms": ...}, ...}}

If a package is missing it exits with code 3 and names it on stderr.
"""

import json
import statistics
import sys
import time

try:
    import numpy as np
    import torch
    import zstandard
    from safetensors.torch import load_file
except ModuleNotFoundError as error:
    print(f"missing Python package: {error.name}", file=sys.stderr)
    sys.exit(3)

RUNS = 5
LEVEL = 3


def parts(shapes, flat):
    """The tensors of these shapes that lie one behind another in `flat`."""
    tensors, start = {}, 0
    for name, shape in shapes.items():
        end = start + shape.numel()
        tensors[name] = flat[start:end].view(shape)
        start = end
    return tensors


def formats(tensors):
    """How each format is written, and how it is read."""
    shapes = {name: tensor.shape for name, tensor in tensors.items()}

    def to_json():
        return json.dumps({name: tensor.tolist() for name, tensor in tensors.items()}).encode()

    def from_json(data):
        return {name: torch.from_numpy(np.array(values, np.float32)) for name, values in json.loads(data).items()}

    def to_f32():
        return b"".join(tensor.numpy().tobytes() for tensor in tensors.values())

    def from_f32(data):
        # A copy, as whoever adds to it needs one.
        return parts(shapes, torch.frombuffer(bytearray(data), dtype=torch.float32))

    def to_bf16():
        halves = (tensor.to(torch.bfloat16).view(torch.int16) for tensor in tensors.values())
        return b"".join(half.numpy().tobytes() for half in halves)

    def from_bf16(data):
        return parts(shapes, torch.frombuffer(bytearray(data), dtype=torch.bfloat16).float())

    packer, opener = zstandard.ZstdCompressor(level=LEVEL), zstandard.ZstdDecompressor()
    return {
        "JSON": (to_json, from_json),
        "f32": (to_f32, from_f32),
        "f32 + zstd": (lambda: packer.compress(to_f32()), lambda data: from_f32(opener.decompress(data))),
        "bf16": (to_bf16, from_bf16),
        "bf16 + zstd": (lambda: packer.compress(to_bf16()), lambda data: from_bf16(opener.decompress(data))),
    }


def timed(call, *given):
    started = time.perf_counter()
    made = call(*given)
    return made, (time.perf_counter() - started) * 1e3


def measure(tensors, encode, decode, runs):
    encoding, decoding = [], []
    for _ in range(runs):
        data, taken = timed(encode)
        encoding.append(taken)
        back, taken = timed(decode, data)
        decoding.append(taken)
    for name, tensor in tensors.items():
        if not torch.allclose(back[name], tensor, rtol=2.0**-8, atol=1e-30):
            raise RuntimeError(f"{name} did not come back")
    return {
        "bytes": len(data),
        "encode_ms": statistics.median(encoding),
        "decode_ms": statistics.median(decoding),
    }


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: peer_codec.py MODEL.safetensors")
    torch.set_num_threads(1)
    tensors = load_file(sys.argv[1])
    measured = {
        name: measure(tensors, encode, decode, 1 if name == "JSON" else RUNS)
        for name, (encode, decode) in formats(tensors).items()
    }
    peer = f"Python's json, numpy {np.__version__}, torch {torch.__version__}, zstandard {zstandard.__version__}"
    print(json.dumps({"peer": peer, "formats": measured}))


if __name__ == "__main__":
    main()
