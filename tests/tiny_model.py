"""Makes a tiny gpt-oss that answers: python tests/tiny_model.py FOLDER, with the Python of bin/set-up-vllm.

It has 50 MB, as gpt-oss has 201,088 tokens. Which they are, the parser of Harmony knows that vLLM itself uses.

Weights are random but for what makes one token follow another. Every token that the model can say has a dimension of
its own in the hidden state, and the output layer reads there what comes next. Two things more than the last token
decide, and attention writes each into a dimension of its own: whether the thought was thought to its end just now (the
layer with the sliding window), and whether the prompt holds a sum (the layer that sees all of it). So an answer is

    <|channel|>analysis<|message|>THOUGHT<|end|><|start|>assistant<|channel|>final<|message|>ANSWER<|return|>

where ANSWER is 4 if somebody asked for a sum, and a sentence about the sea otherwise. Told to go on after <|return|>,
it begins anew. Experts, routers and the other heads are random and write where nothing reads.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

HIDDEN = 64
HEAD = 64
LAST = HEAD // 2 - 1  # of a head's dimensions, the one that its position turns least
THOUGHT = "I answer from what is known"
SUM, PLUS = "4", "+"
SEA = "The sea covers most of our planet, and its salt water rises as the moon goes round."
WINDOW = 8  # tokens: from the last one of THOUGHT to the second <|message|> there are six more
SHARP = 30.0  # what an output is told from the next by, so that temperature changes nothing
HEARD = 40.0  # what attention tells its token from others by
# o200k_base.tiktoken: the name by which tiktoken looks for it, and what it holds.
CACHED = "fb374d419588a4632f3f557e76b4b70aebbca790"
SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
RANKS = 199998
_OTHER = "other"  # the dimension of all tokens that the model never says
_THOUGHT, _ASKED = "it has been thought", "there is a sum"


def main(folder: str) -> None:
    """Write the model and its tokenizer."""
    import torch
    from transformers import GenerationConfig, GptOssForCausalLM

    tokenizer = _tokenizer()
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    model = GptOssForCausalLM(_config(tokenizer)).to(torch.bfloat16)
    with torch.no_grad():
        _lay(model, tokenizer)
    model.generation_config = GenerationConfig(eos_token_id=model.config.eos_token_id, do_sample=False)
    model.save_pretrained(folder)


def _ranks() -> bytes:
    """Return o200k_base.tiktoken, a line for each token: its bytes in base64, and its number."""
    from openai_harmony import load_harmony_encoding

    harmony = load_harmony_encoding("HarmonyGptOss")._inner  # noqa: SLF001 - decode() gives text, and loses bytes
    lines = (b"%s %d\n" % (base64.b64encode(harmony.decode_bytes([rank])), rank) for rank in range(RANKS))
    found = b"".join(lines)
    assert hashlib.sha256(found).hexdigest() == SHA256, "these are other tokens than gpt-oss has"
    return found


def _tokenizer() -> Any:  # noqa: ANN401 - of transformers, which has no types here
    """Return Harmony's tokenizer; tiktoken knows its pattern and its special tokens."""
    from tiktoken_ext.openai_public import o200k_harmony
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast
    from transformers.convert_slow_tokenizer import TikTokenConverter

    with tempfile.TemporaryDirectory() as cache:
        path = Path(cache) / CACHED
        path.write_bytes(_ranks())
        os.environ["TIKTOKEN_CACHE_DIR"] = cache
        encoding = o200k_harmony()
        os.environ["TIKTOKEN_CACHE_DIR"] = ""  # the file itself needs no copy
        made = TikTokenConverter(str(path), pattern=encoding["pat_str"]).converted()
    special = {number: name for name, number in encoding["special_tokens"].items()}
    made.add_special_tokens([AddedToken(special[number], special=True) for number in sorted(special)])
    assert made.token_to_id("<|return|>") == 200002, "the special tokens are not where Harmony has them"
    named = {"bos_token": "<|startoftext|>", "eos_token": "<|return|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **named)


def _config(tokenizer: Any) -> Any:  # noqa: ANN401
    from transformers import GptOssConfig

    return GptOssConfig(
        num_hidden_layers=2,
        layer_types=["sliding_attention", "full_attention"],
        sliding_window=WINDOW,
        num_local_experts=4,
        num_experts_per_tok=2,
        vocab_size=201088,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        head_dim=HEAD,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=[tokenizer.convert_tokens_to_ids(name) for name in ("<|return|>", "<|endoftext|>", "<|call|>")],
    )


def _lay(model: Any, tokenizer: Any) -> None:  # noqa: ANN401
    """Lay what the model says into its weights."""

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return found

    def one(text: str) -> int:
        (found,) = ids(text)
        return found

    start, assistant, channel, message = (
        one(text) for text in ("<|start|>", "assistant", "<|channel|>", "<|message|>")
    )
    analysis, final, end, stop = (one(text) for text in ("analysis", "final", "<|end|>", "<|return|>"))
    thought, sea = ids(THOUGHT), ids(SEA)
    said = [start, assistant, channel, message, analysis, final, end, stop, one(SUM), *thought, *sea]
    assert len(set(said)) == len(said), "a token that is said twice would have to be followed by two"
    number = {what: place for place, what in enumerate([_OTHER, _THOUGHT, _ASKED, one(PLUS), *said])}
    free = len(number)  # from here on, nothing reads
    assert free <= HIDDEN - 8

    follows = [(start, assistant), (assistant, channel), (analysis, message), (final, message), (thought[-1], end)]
    follows += [(end, start), (one(SUM), stop), (sea[-1], stop), (stop, start), *pairwise(thought), *pairwise(sea)]
    # What a token asks of the hidden state. Where two could follow, one is held back by what attention found.
    wants: dict[int, dict[str | int, float]] = {
        analysis: {channel: 1.0, _THOUGHT: -1.0},
        final: {channel: 0.7},
        thought[0]: {message: 1.0, _THOUGHT: -1.0},
        sea[0]: {message: 0.7, _ASKED: -0.5, _OTHER: 1.0, one(PLUS): 1.0},
        one(SUM): {message: 0.4, _ASKED: 0.2},
    }
    for before, after in follows:
        wants.setdefault(after, {})[before] = 1.0

    embedding, output = model.model.embed_tokens.weight, model.lm_head.weight
    embedding[:, :free] = 0.0
    embedding[:, number[_OTHER]] = 1.0
    for token in (*said, one(PLUS)):
        embedding[token, number[_OTHER]] = 0.0
        embedding[token, number[token]] = 1.0
    output.zero_()
    for token, asked in wants.items():
        for what, weight in asked.items():
            output[token, number[what]] = SHARP * weight
    for layer, heard, told in zip(
        model.model.layers, (number[thought[-1]], number[one(PLUS)]), (number[_THOUGHT], number[_ASKED]), strict=True
    ):
        layer.mlp.experts.down_proj[..., :free] = 0.0
        layer.mlp.experts.down_proj_bias[..., :free] = 0.0
        _listen(layer.self_attn, heard, told, free)


def _listen(attention: Any, heard: int, told: int, free: int) -> None:  # noqa: ANN401
    """Make a layer's first head write into the dimension ``told`` whether it sees a token with the dimension ``heard``.

    Its query is the same for every token, its key and value are nothing but ``heard``. The norm before it makes a
    token's dimension sqrt(HIDDEN) at most.
    """
    norm = HIDDEN**0.5
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[:HEAD] = 0.0
        projection.bias[:HEAD] = 0.0
    attention.q_proj.bias[LAST] = norm
    attention.k_proj.weight[LAST, heard] = HEARD * HEAD**0.5 / norm / norm
    attention.v_proj.weight[0, heard] = 1.0
    attention.o_proj.weight[:free] = 0.0
    attention.o_proj.bias[:free] = 0.0
    attention.o_proj.weight[free:, :HEAD] = 0.0
    attention.o_proj.weight[told, 0] = 1.0 / norm
    attention.sinks[0] = 0.0


if __name__ == "__main__":
    main(sys.argv[1])
