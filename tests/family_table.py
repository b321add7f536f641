"""The README's table of families, written from what the code says.

    python tests/family_table.py

prints it, or `--write` puts it into the README.
"""

import inspect
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras_hub
from families import FAMILIES
from families import shared_policy
from testing import is_causal

from keras_irl.models import vocabulary_head
from keras_irl.models.lora import default_lora_targets

README = pathlib.Path(__file__).parents[1] / "README.md"
START, END = "<!-- families: start -->\n", "<!-- families: end -->\n"

# What fails for a reason in keras-hub; a test asks whether it still does.
NO_DEMONSTRATIONS = {
    "rwkv7": "`demonstrations` fails, as keras-hub's preprocessor can't read "
    "an empty prompt: make the batches yourself",
}
# Whose blocks `rematerialize` refuses: it does not find them, or would lose the
# loss that balances their experts.
NOT_REMATERIALIZED = (
    "t5gemma",
    "t5gemma2",
    "gemma3n",
    "mixtral",
    "qwen_moe",
    "qwen3_moe",
    "qwen3_5_moe",
    "rwkv7",
)
# What `save` forgets, since the backbone's `get_config` leaves it out.
FORGOTTEN = {
    "llama": "tie_word_embeddings",
    "llama3": "tie_word_embeddings",
    "qwen_moe": "router_aux_loss_coefficient",
}
_TEXT_ONLY = "text only"
_EXPERTS = "experts"
NOTES = {
    "t5gemma2": [_TEXT_ONLY],
    "gemma3": [_TEXT_ONLY],
    "gemma3n": [_TEXT_ONLY],
    "gemma4": [_TEXT_ONLY],
    "qwen3_5": [_TEXT_ONLY],
    "qwen3_5_moe": [_TEXT_ONLY, _EXPERTS],
    "mixtral": [_EXPERTS],
    "gpt_oss": [_EXPERTS],
    "qwen_moe": [_EXPERTS],
    "qwen3_moe": [_EXPERTS],
}
# Language models by inheritance that do not continue text with text.
_models = keras_hub.models
NOT_OF_TEXT = {
    _models.CausalLM: "the base of all decoder-only models",
    _models.Seq2SeqLM: "the base of all encoder-decoders",
    _models.BLIP2CausalLM: "continues an image",
    _models.BLIP2Seq2SeqLM: "continues an image",
    _models.EdRecSeq2SeqLM: "recommends items, and reads no text",
    _models.Gemma4AssistantCausalLM: "drafts for a Gemma4, never on its own",
    _models.MoonshineAudioToText: "writes down speech",
    _models.PARSeqCausalLM: "reads the text in an image",
    _models.PaliGemmaCausalLM: "continues an image",
}


def table():
    """Writes one row for each family, as Markdown."""
    header = ("family", "class", "kind", "head", "LoRA on", "notes")
    rows = [header, ["---"] * len(header), *map(_row, FAMILIES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(name):
    policy = shared_policy(name, max_length=24)
    own = type(policy).__name__
    notes = [*NOTES.get(name, [])]
    if name in NO_DEMONSTRATIONS:
        notes.append(NO_DEMONSTRATIONS[name])
    if name in FORGOTTEN:
        notes.append(f"saved models forget `{FORGOTTEN[name]}`")
    if name in NOT_REMATERIALIZED:
        notes.append("no `rematerialize`")
    return (
        own.removesuffix("CausalLM").removesuffix("Seq2SeqLM"),
        f"`{own}`",
        "decoder-only" if is_causal(policy) else "encoder-decoder",
        _head(policy),
        ", ".join(f"`{name}`" for name in default_lora_targets(policy)),
        "; ".join(notes),
    )


def _head(policy):
    head = vocabulary_head(policy)
    options = inspect.signature(type(policy.backbone)).parameters
    words = ["tied" if head.axes == "VD" else "untied"]
    if any(option.startswith("tie_") for option in options):
        words = ["tied or not"]
    if head.scale != 1.0:
        words.append("scaled if tied")
    if any(option.startswith("final_logit_soft") for option in options):
        words.append("soft cap or not")
    return ", ".join(words)


def table_in_the_readme():
    """Reads what stands between the two marks of the README."""
    text = README.read_text("utf-8")
    return text.partition(START)[2].partition(END)[0]


def _write():
    text = README.read_text("utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    README.write_text(before + start + table() + end + after, "utf-8")


if __name__ == "__main__":
    if "--write" in sys.argv:
        _write()
    else:
        print(table(), end="")
