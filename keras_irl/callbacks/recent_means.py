"""How it is now, from means since the start of an epoch."""


class RecentMeans:
    """Means over the last batches, recovered from means over all of an epoch.

    Keras logs means over the batches since an epoch began. Late in an epoch
    they hardly move, whatever happens. With the mean M after n batches and the
    mean L at the last look, after l batches, that since the last look is

        (n M − l L) / (n − l)

    It is exact for what weighs all batches alike. In means over tokens, what
    has changed since the last look counts a few per cent too much or too little
    where batches are longer or shorter than on average.
    """

    def __init__(self):
        self.reset()

    def reset(self):
        """Begins an epoch: all means start anew."""
        self.num_batches = 0
        self._means = {}

    def look(self, num_batches, means):
        """Computes the means since the last look.

        Args:
            num_batches: Number of batches since the epoch began, more than at
                the last look.
            means: Dictionary from names to means over these batches.

        Returns:
            A dictionary from names to means over the batches since then.
        """
        num_new = num_batches - self.num_batches
        recent = {
            # Of a name that is new, nothing else is known.
            name: (num_batches * mean - self.num_batches * before) / num_new
            for name, mean in means.items()
            for before in [self._means.get(name, mean)]
        }
        self.num_batches, self._means = num_batches, dict(means)
        return recent
