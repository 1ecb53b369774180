"""What a tensor is for, by its name; and the sums of bytes or elements by that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto

_SAFETENSORS_EXPERT = re.compile(r"(^|\.)experts\.")
_SAFETENSORS_LAYER = re.compile(r"(^|\.)layers\.(\d+)\.")
_SAFETENSORS_EMBEDDING = {"embed_tokens", "tok_embeddings", "word_embeddings", "embeddings", "wte"}
_SAFETENSORS_HEAD = {"lm_head", "output"}
_SAFETENSORS_ASIDE = re.compile(
    r"(^|\.)(visual|vision_\w+|embed_vision|multi_modal_projector|mm_projector|patch_merge_mlp|patch_merger"
    r"|audio_\w+|embed_audio|mtp\w*)\."
)

# "ffn_gate.7.weight" is an expert of files from before 2024, which llama.cpp still reads.
_GGUF_EXPERT = re.compile(r"_exps\.|ffn_(gate|up|down)\.\d+\.")
_GGUF_LAYER = re.compile(r"^blk\.(\d+)\.")


class Role(Enum):
    """How a decoded token uses a tensor; ``HEAD`` and ``TABLE`` are told apart because one may be the other too."""

    DENSE = auto()
    HEAD = auto()  # the output head: dense
    TABLE = auto()  # the input embedding: the head too where there is none
    ROWS = auto()  # other embeddings, of which rows are read
    EXPERT = auto()
    ASIDE = auto()  # vision towers, layers for speculation: not read to decode a token


def safetensors_role(name: str, layers: int | None) -> Role:
    """Return the role of a tensor of a Hugging Face repository; ``layers`` tells those of speculation apart."""
    layer = _SAFETENSORS_LAYER.search(name)
    if _SAFETENSORS_ASIDE.search(name) or (layer and layers is not None and int(layer[2]) >= layers):
        return Role.ASIDE
    if _SAFETENSORS_EXPERT.search(name):
        return Role.EXPERT
    segments = set() if layer else set(name.split("."))
    if segments & _SAFETENSORS_EMBEDDING:
        return Role.TABLE
    return Role.HEAD if segments & _SAFETENSORS_HEAD else Role.DENSE


def gguf_role(name: str, layers: int) -> Role:
    """Return the role of a tensor of a GGUF file."""
    layer = _GGUF_LAYER.match(name)
    if layer and int(layer[1]) >= layers:
        return Role.ASIDE
    if _GGUF_EXPERT.search(name):
        return Role.EXPERT
    whole = {"token_embd.weight": Role.TABLE, "per_layer_token_embd.weight": Role.ROWS, "output.weight": Role.HEAD}
    return whole.get(name, Role.DENSE)


@dataclass(slots=True)
class Sums:
    """Sums of amounts (bytes, elements) by role."""

    of: dict[Role, int] = field(default_factory=lambda: dict.fromkeys(Role, 0))

    def add(self, role: Role, amount: int) -> None:
        """Count a tensor."""
        self.of[role] += amount

    @property
    def total(self) -> int:
        """Return the sum of everything."""
        return sum(self.of.values())

    @property
    def dense(self) -> int:
        """Return what every token reads: the embedding too where it is the output head."""
        tied = not self.of[Role.HEAD]
        return self.of[Role.DENSE] + self.of[Role.HEAD] + (self.of[Role.TABLE] if tied else 0)

    @property
    def embedding(self) -> int:
        """Return what is read by the row."""
        return self.of[Role.ROWS] + (self.of[Role.TABLE] if self.of[Role.HEAD] else 0)

    @property
    def experts(self) -> int:
        """Return what all routed experts hold."""
        return self.of[Role.EXPERT]
