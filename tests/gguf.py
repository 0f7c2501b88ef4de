"""Files in the GGUF format: a vision projector for the built-in model, tiny, with random weights.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Mapping
from pathlib import Path

ALIGN = 32
WIDTH, HIDDEN, LAYERS, PATCH, SIZE = 32, 64, 2, 16, 32
EMBEDDING = 576  # of the built-in model


def write_projector(path: Path, embedding: int = EMBEDDING) -> None:
    """Write a projector as of LLaVA; it fits a model whose embedding has this length."""
    vision = {
        "image_size": SIZE,
        "patch_size": PATCH,
        "embedding_length": WIDTH,
        "feed_forward_length": HIDDEN,
        "block_count": LAYERS,
        "attention.head_count": 2,
        "attention.layer_norm_epsilon": 1e-5,
        "projection_dim": embedding,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    fields = {
        "general.architecture": "clip",
        "general.file_type": 0,
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        **{f"clip.vision.{name}": value for name, value in vision.items()},
    }
    tensors: dict[str, tuple[int, ...]] = {
        "v.class_embd": (WIDTH,),
        "v.patch_embd.weight": (PATCH, PATCH, 3, WIDTH),
        "v.position_embd.weight": (WIDTH, (SIZE // PATCH) ** 2 + 1),
        **_linear("mm.0", WIDTH, embedding),
        **_linear("mm.2", embedding, embedding),
        **_norm("v.pre_ln"),
    }
    for layer in (f"v.blk.{number}" for number in range(LAYERS)):
        for part in ("q", "k", "v", "out"):
            tensors |= _linear(f"{layer}.attn_{part}", WIDTH, WIDTH)
        tensors |= _norm(f"{layer}.ln1") | _norm(f"{layer}.ln2")
        tensors |= _linear(f"{layer}.ffn_up", WIDTH, HIDDEN)
        tensors |= _linear(f"{layer}.ffn_down", HIDDEN, WIDTH)
    _write(path, fields, tensors)


def _linear(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (before, after), f"{name}.bias": (after,)}


def _norm(name: str) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}


def _write(
    path: Path, fields: Mapping[str, object], tensors: Mapping[str, tuple[int, ...]]
) -> None:
    chance = random.Random(1)
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(fields)))
    for name, value in fields.items():
        head += _text(name) + _value(value)
    data = bytearray()
    for name, shape in tensors.items():
        kind = 0  # 32-bit floats
        head += _text(name)
        head += struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(data))
        count = math.prod(shape)
        data += struct.pack(f"<{count}f", *(chance.gauss(0, 0.02) for _ in range(count)))
        data += bytes(-len(data) % ALIGN)
    path.write_bytes(head + bytes(-len(head) % ALIGN) + data)


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _value(value: object) -> bytes:
    """Return a value with its type: bool, 32-bit integer or float, list of floats, or text."""
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    if isinstance(value, list):
        return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
    return struct.pack("<I", 8) + _text(str(value))
