"""Columns and color scales of a heat map of token rewards."""

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeAlias

import numpy as np

from keras_irl.arguments import check_choice
from keras_irl.error_texts import shortened
from keras_irl.rewards.token_rewards import TextRewards
from keras_irl.rewards.token_rewards import are_text_rewards

# Of one policy, or of several by their names.
TextRewardsByPolicy: TypeAlias = (
    Sequence[TextRewards] | Mapping[str, Sequence[TextRewards]]
)
_MAX_POLICIES = 2
# What tokens can be colored by, and what it is called.
QUANTITIES = {"rewards": "reward", "log_probs": "log-probability"}


# Okabe and Ito's blue and vermilion, which color-blind people tell apart.
_POSITIVE = np.array([0x00, 0x72, 0xB2])
_NEGATIVE = np.array([0xD5, 0x5E, 0x00])
_WHITE = np.array([255, 255, 255])
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
_PERCENTILE = 98


def color_limit(texts: Iterable[np.ndarray]) -> float:
    """The number at which colors are full, the same for all texts.

    Args:
        texts: Iterable of arrays, a number for each token of a text.

    Returns:
        Float above 0, in nats. Two percent of the tokens may lie beyond it.
    """
    numbers = np.abs(np.concatenate(list(texts)))
    return max(float(np.percentile(numbers, _PERCENTILE)), 1e-6)


def color(number: float, limit: int) -> tuple[str, str]:
    """The background of a token and the ink on it.

    Args:
        number: Float. White is 0, blue is above and orange below.
        limit: The number of full color.

    Returns:
        Two strings such as `"#0072b2"`.
    """
    share = float(np.clip(number / limit, -1.0, 1.0))
    end = _POSITIVE if share > 0 else _NEGATIVE
    rgb = _WHITE + abs(share) * (end - _WHITE)
    # Whichever ink has the higher contrast, as the web's guidelines define it.
    ink = "#ffffff" if _luminance(rgb / 255) < 0.179 else "#000000"
    red, green, blue = rgb.round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}", ink


def stops(quantity: str, limit: int, count: int) -> np.ndarray:
    """Numbers from one end of a scale to the other.

    Args:
        quantity: `"rewards"`, of either sign, or `"log_probs"`, of none above
            0.
        limit: The number of full color.
        count: How many.

    Returns:
        Float array.
    """
    return np.linspace(-limit, limit if quantity == "rewards" else 0, count)


def _luminance(rgb):
    """The relative luminance of a color of sRGB, in [0, 1]."""
    return _WEIGHTS @ np.where(
        rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
    )


@dataclasses.dataclass(frozen=True)
class HeatMapColumn:
    """A column of a heat map: a policy's texts and their quantity.

    Attributes:
        name: Name of the policy.
        quantity: `"rewards"` or `"log_probs"`.
        texts: List of `TextRewards`.
        limit: The number at which colors are full, in nats.
    """

    name: str
    quantity: str
    texts: list
    limit: float

    def numbers(self, row: int) -> np.ndarray:
        """Rewards or log-probabilities of a text's tokens, in nats."""
        text = self.texts[row]
        return text.rewards if self.quantity == "rewards" else text.log_probs

    def summary(self, row: int) -> str:
        """The number of a whole text, and that of a token of it."""
        numbers = self.numbers(row)
        name = "reward" if self.quantity == "rewards" else "log-likelihood"
        return f"{name} {numbers.sum():+.2f}, {numbers.mean():+.2f} per token"


def columns_of(
    policies: TextRewardsByPolicy,
    quantities: Mapping[str, str] | None = None,
) -> list[HeatMapColumn]:
    """Makes the columns of a heat map, each quantity with a scale of its own.

    Args:
        policies: See `heat_map`.
        quantities: See `heat_map`.

    Returns:
        List of `HeatMapColumn`.

    Raises:
        ValueError: See `heat_map`.
    """
    named: dict[str, Any] = {"policy": policies}
    if isinstance(policies, dict):
        named = policies
    _check_policies(named)
    _check_quantities(quantities or {}, named)
    chosen = {**dict.fromkeys(named, "rewards"), **(quantities or {})}
    columns = [
        HeatMapColumn(name, chosen[name], list(texts), 1.0)
        for name, texts in named.items()
    ]
    limits = {
        quantity: color_limit(
            c.numbers(row)
            for c in columns
            if c.quantity == quantity
            for row in range(len(c.texts))
        )
        for quantity in set(chosen.values())
    }
    return [dataclasses.replace(c, limit=limits[c.quantity]) for c in columns]


def summary_of(
    columns: Sequence[HeatMapColumn], metrics: Mapping[str, Any]
) -> str:
    """Says in a sentence what all texts come to.

    Args:
        columns: List of `HeatMapColumn`.
        metrics: Dictionary from names to arrays, a number for each text.

    Returns:
        The mean of a token and its range under each policy; and what texts
        that are right and wrong come to, where a metric tells these apart.
    """
    parts = [_mean_and_range(column) for column in columns]
    said = f"On average a token has {' and '.join(parts)}"
    for name, numbers in metrics.items():
        right = np.asarray(numbers) > 0
        if _is_right_or_wrong(numbers) and 0 < right.sum() < len(right):
            first = columns[0]
            sums = np.array(
                [first.numbers(row).sum() for row in range(len(right))]
            )
            said += (
                f"; whole texts that are right by {name.replace('_', ' ')} "
                f"have {sums[right].mean():+.2f} and wrong ones "
                f"{sums[~right].mean():+.2f} under {first.name}"
            )
    return f"{said}."


def _mean_and_range(column):
    texts = range(len(column.texts))
    numbers = np.concatenate([column.numbers(row) for row in texts])
    return (
        f"a {QUANTITIES[column.quantity]} of {numbers.mean():+.2f} nats under "
        f"{column.name}, from {numbers.min():+.2f} to {numbers.max():+.2f}"
    )


def _is_right_or_wrong(numbers):
    found = set(map(float, numbers))
    return found <= {0.0, 1.0} or found <= {0.0, 100.0}


def verdicts(metrics: Mapping[str, Any], row: int) -> list[str]:
    """The metrics of a text, as right, wrong or a number.

    Args:
        metrics: Dictionary from names to lists of numbers.
        row: Which of the texts.

    Returns:
        List of strings. A metric that gives every text all or nothing tells
        right from wrong; of any other there is the number.
    """
    return [
        _verdict(name.replace("_", " "), numbers, row)
        for name, numbers in metrics.items()
    ]


def _verdict(name, numbers, row):
    if _is_right_or_wrong(numbers):
        said = "✓ right" if numbers[row] else "✗ wrong"
        return f"{said} ({name})"
    return f"{name} {float(numbers[row]):.2f}"


def _check_policies(policies):
    if not 1 <= len(policies) <= _MAX_POLICIES:
        raise ValueError(
            f"A heat map shows one policy, or {_MAX_POLICIES} side by side. "
            f"Received: {len(policies)} policies"
        )
    for name, texts in policies.items():
        if not are_text_rewards(texts) or not texts:
            raise ValueError(
                "A policy needs a list of `TextRewards`, at least one, as "
                "`token_rewards` returns. "
                f"Received: policies[{name!r}]={shortened(texts, 100)}"
            )
        _check_rewards(name, texts)


def _check_rewards(name, texts):
    for row, text in enumerate(texts):
        numbers = (text.rewards, text.action_values, text.values)
        if not len(text.rewards) or not np.isfinite(numbers).all():
            raise ValueError(
                "Every text needs one token at least, and rewards and values "
                "that are finite numbers; leave it out. Received: "
                f"policies[{name!r}][{row}].rewards={shortened(text.rewards)}"
            )


def _check_quantities(quantities, policies):
    known = policies.keys()
    if not isinstance(quantities, dict) or not quantities.keys() <= known:
        raise ValueError(
            "`quantities` must be a dictionary from names of the policies, "
            f"{', '.join(map(repr, policies))}, to what their tokens are "
            f"colored by. Received: quantities={shortened(quantities)}"
        )
    for name, quantity in quantities.items():
        check_choice(f"quantities[{name!r}]", quantity, tuple(QUANTITIES))
