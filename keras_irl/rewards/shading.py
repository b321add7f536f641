"""How rewards are coloured."""

import numpy as np

# Okabe and Ito's blue and vermilion, which colour-blind people tell apart.
_POSITIVE = np.array([0x00, 0x72, 0xB2])
_NEGATIVE = np.array([0xD5, 0x5E, 0x00])
_WHITE = np.array([255, 255, 255])
_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
_PERCENTILE = 98


def color_limit(policies):
    """The reward at which colours are full, the same for all policies.

    Args:
        policies: Dictionary from names to lists of `TextRewards`.

    Returns:
        Float above 0, in nats. Two per cent of the tokens may lie beyond it.
    """
    rewards = np.concatenate(
        [text.rewards for texts in policies.values() for text in texts]
    )
    return max(float(np.percentile(np.abs(rewards), _PERCENTILE)), 1e-6)


def color(reward, limit):
    """The background of a token and the ink on it.

    Args:
        reward: Float. White is 0, blue is above and orange below.
        limit: The reward of full colour.

    Returns:
        Two strings such as `"#0072b2"`.
    """
    share = float(np.clip(reward / limit, -1.0, 1.0))
    end = _POSITIVE if share > 0 else _NEGATIVE
    rgb = _WHITE + abs(share) * (end - _WHITE)
    # Whichever ink has the higher contrast, as the web's guidelines define it.
    ink = "#ffffff" if _luminance(rgb / 255) < 0.179 else "#000000"
    red, green, blue = rgb.round().astype(int)
    return f"#{red:02x}{green:02x}{blue:02x}", ink


def _luminance(rgb):
    """The relative luminance of a colour of sRGB, in [0, 1]."""
    return _WEIGHTS @ np.where(
        rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4
    )
