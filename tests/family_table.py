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
from families import record_of
from families import shared_policy
from testing import is_causal

from keras_irl.families.role_rules import MIXTURE_OF_EXPERTS
from keras_irl.models import vocabulary_head
from keras_irl.models.lora import default_lora_targets

README = pathlib.Path(__file__).parents[1] / "README.md"
START, END = "<!-- families: start -->\n", "<!-- families: end -->\n"

# Where `demonstrations` fails: keras-hub's preprocessor of such a family can't
# read an empty prompt; a test asks whether it still can't.
NO_DEMONSTRATIONS = [
    name for name in FAMILIES if record_of(name).reads_prompt_separately
]
# Whose blocks `rematerialize` refuses: it does not find them, or would lose the
# loss that balances their experts.
NOT_REMATERIALIZED = [
    name
    for name in FAMILIES
    if not record_of(name).blocks or record_of(name).has_expert_losses
]
_OPTIONAL_ENCODER = "vision_encoder"
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
    return (
        own.removesuffix("CausalLM").removesuffix("Seq2SeqLM"),
        f"`{own}`",
        "decoder-only" if is_causal(policy) else "encoder-decoder",
        _head(policy),
        ", ".join(f"`{name}`" for name in default_lora_targets(policy)),
        "; ".join(_notes(name, policy.backbone)),
    )


def _notes(name, backbone):
    options = inspect.signature(type(backbone)).parameters
    if any(option.startswith(_OPTIONAL_ENCODER) for option in options):
        yield "text only"
    if set(MIXTURE_OF_EXPERTS) <= set(record_of(name).roles):
        yield "experts"
    if name in NO_DEMONSTRATIONS:
        yield (
            "`demonstrations` fails, as keras-hub's preprocessor can't read an "
            "empty prompt: make the batches yourself"
        )
    for option in _forgotten(backbone, options):
        yield f"saved models forget `{option}`"
    if name in NOT_REMATERIALIZED:
        yield "no `rematerialize`"


def _forgotten(backbone, options):
    """What `save` forgets, since the backbone's `get_config` leaves it out."""
    config = backbone.get_config()
    for name, option in options.items():
        is_one = option.kind is not option.VAR_KEYWORD
        # A policy of texts alone has none to be kept.
        if is_one and name not in config and name != _OPTIONAL_ENCODER:
            yield name


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
