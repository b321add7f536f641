"""How rewards are colored."""

import numpy as np

# Okabe and Ito's blue and vermilion, which color-blind people tell apart.
_POSITIVE = np.array([0x00, 0x72, 0xB2])
_NEGATIVE = np.array([0xD5, 0x5E, 0x00])
_WHITE = np.array([255, 255, 255])
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
_PERCENTILE = 98


def color_limit(texts):
    """The number at which colors are full, the same for all texts.

    Args:
        texts: Iterable of arrays, a number for each token of a text.

    Returns:
        Float above 0, in nats. Two per cent of the tokens may lie beyond it.
    """
    numbers = np.abs(np.concatenate(list(texts)))
    return max(float(np.percentile(numbers, _PERCENTILE)), 1e-6)


def color(number, limit):
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


def stops(quantity, limit, count):
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
