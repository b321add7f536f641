"""Faults that somebody could make, each with the test that must notice it."""

from typing import NamedTuple


class Mutation(NamedTuple):
    """A fault.

    Attributes:
        file: Where it is made, below `keras_irl/`.
        old: The right text, which occurs once in the file.
        new: The wrong text in its place.
        tests: The files below `tests/` of which one test must fail.
    """

    file: str
    old: str
    new: str
    tests: str


MUTATIONS = [
    Mutation(file, old, new, tests)
    for file, tests, changes in (
        (
            "optimizers/network_optimizers.py",
            "optimizers/network_optimizers_test.py",
            (("return self.inner_optimizer.learning_rate", "return 0.0"),),
        ),
        (
            "ops/values.py",
            "ops/values_test.py",
            (
                ("values[:, 1:]", "values[:, :-1]"),
                ("ops.where(exists,", "ops.where(mask == mask,"),
                ("discount * next_values", "next_values"),
                (", 0.0) - after", ", 0.0) + after"),
                (
                    "next_values(values, mask, continues=continues)",
                    "next_values(values, mask)",
                ),
                (
                    "ops.ones_like(rewards), mask, continues=continues",
                    "ops.ones_like(rewards), mask",
                ),
                ("1.0 - discount * after", "1.0 + discount * after"),
                ("    discount = 1.0\n", "    discount = 0.0\n"),
                ("return -ops.divide", "return ops.divide"),
                (
                    "        masked_sum(slopes * rewards",
                    "        masked_sum(rewards",
                ),
            ),
        ),
        (
            "ops/returns.py",
            "ops/returns_test.py",
            (
                ("ops.where(steps >= 0", "ops.where(steps > 0"),
                ("+ after - values", "+ after + values"),
                ("discount * gae_lambda)", "discount)"),
                ("after = discount * next_values", "after = next_values"),
                (
                    "next_values(values, mask, continues=continues)",
                    "next_values(values, mask)",
                ),
            ),
        ),
        (
            "ops/masking.py",
            "ops/masking_test.py",
            (
                (
                    'ops.cast(mask, "float32") > 0',
                    'ops.cast(mask, "float32") >= 0',
                ),
                (
                    "ops.logical_or(is_action(mask), ops",
                    "ops.logical_and(is_action(mask), ops",
                ),
                ("ops.logical_not(before)", "before"),
                ("ops.sum(weights * values)", "ops.sum(values)"),
                ("ops.where(num_counted > 0, mean, np.nan)", "mean"),
                (
                    "ops.maximum(num_counted, 1e-30)",
                    "ops.maximum(num_counted, 1.0)",
                ),
            ),
        ),
        (
            "ops/sample_weights.py",
            "ops/sample_weights_test.py",
            (
                ("is_zero = library.equal", "is_zero = library.not_equal"),
                ("library.logical_not(mask > 0)", "mask > 0"),
                (
                    "where(is_cut, CONTINUES, plain)",
                    "where(is_cut, 1.0, plain)",
                ),
                ("library.logical_or(mask > 0, is_cut)", "mask > 0"),
                ("& ~(self.weights > 0)", ""),
            ),
        ),
        (
            "ops/statistics.py",
            "ops/statistics_test.py",
            (
                ("entropies = values - ", "entropies = values + "),
                ("action_values >= ops.max", "action_values > ops.max"),
                (
                    'q_values = ops.cast(q_values, "float32")',
                    "q_values = ops.convert_to_tensor(q_values)",
                ),
                (
                    "values = ops.logsumexp(q_values, axis=-1)",
                    "values = ops.log(ops.sum(ops.exp(q_values), axis=-1))",
                ),
            ),
        ),
        (
            "ops/tiled_statistics.py",
            "ops/tiled_statistics_test.py",
            (
                ("hidden_states = hidden_states * scale", "pass"),
                (
                    "nearest, goes_on(mask, continues)",
                    "nearest, mask > 2",
                ),
            ),
        ),
        (
            "losses/iq_learn.py",
            "losses/iq_learn_test.py",
            (
                (
                    "losses + td_weight * penalties",
                    "losses - td_weight * penalties",
                ),
                ("values = ops.stop_gradient(as_tensor", "values = (as_tensor"),
                ("mask, discount, continues=", "mask, 1.0, continues="),
                (
                    "Schedule(td_weight, warmup_steps)",
                    "Schedule(td_weight, 0)",
                ),
                ('"discount": self.discount,', '"discount": 0.5,'),
            ),
        ),
        (
            "losses/token_loss.py",
            "losses/token_loss_test.py",
            (
                (
                    "return method(*args, continues=continues)",
                    "return method(*args)",
                ),
            ),
        ),
        (
            "trainers/trainer.py",
            "trainers/iq_learn_test.py",
            (
                (
                    "            continues=mask.continues,\n        )\n        add",
                    "            continues=mask.weights > 0,\n        )\n        add",
                ),
            ),
        ),
        (
            "losses/mle.py",
            "losses/mle_test.py",
            (
                ("ops.multiply(-entropy_weight", "ops.multiply(entropy_weight"),
                ("losses += entropy_loss", "losses -= entropy_loss"),
                (
                    '{"entropy_weight": self.entropy_weight, ',
                    '{"entropy_weight": 0.0, ',
                ),
            ),
        ),
        (
            "losses/mle.py",
            "losses/iq_learn_test.py",
            (("return -log_probs(", "return log_probs("),),
        ),
        (
            "losses/divergences.py",
            "losses/divergences_test.py",
            (
                ("return rewards - ops.square(rewards)", "return rewards"),
                ("lambda r: r / (1.0 + r)", "lambda r: r / (2.0 + r)"),
                ("below, rewards - edge, 0.0", "below, rewards, 0.0"),
                ("-ops.exp(-r - 1.0)", "-ops.exp(-r)"),
                ("ops.log(2.0 - ops.exp(-r))", "ops.log(1.0 - ops.exp(-r))"),
                ("rewards > 0.5, 0.5,", "rewards > 0.5, 1.0,"),
                ("lambda r: r - _CONCAVE", "lambda r: r + _CONCAVE"),
            ),
        ),
        (
            "losses/finite.py",
            "losses/garbage_test.py",
            (
                (
                    "ops.where(is_finite, function(*safe), raw)",
                    "function(*safe)",
                ),
                (
                    "ops.where(is_finite, tensor, 0.0) for",
                    "tensor for",
                ),
            ),
        ),
        (
            "losses/gail.py",
            "losses/gail_test.py",
            (
                (
                    "-1.0 if is_demonstration else 1.0",
                    "1.0 if is_demonstration else -1.0",
                ),
                (
                    "lambda logits: -ops.softplus(-logits)",
                    "lambda logits: ops.softplus(-logits)",
                ),
                (
                    "ops.stop_gradient(_REWARD_FORMS[reward_form](logits))",
                    "_REWARD_FORMS[reward_form](logits)",
                ),
                (
                    "ops.softplus(x) - ops.sigmoid(x) * x",
                    "ops.softplus(x) + ops.sigmoid(x) * x",
                ),
                ('reward_form: str = "softplus"', 'reward_form: str = "logit"'),
            ),
        ),
        (
            "losses/policy_gradient.py",
            "losses/policy_gradient_test.py",
            (
                ("-ops.minimum(ratios", "-ops.maximum(ratios"),
                (
                    "1.0 - clip_ratio, 1.0 + clip_ratio)\n",
                    "0.0, 1.0 + clip_ratio)\n",
                ),
                ("advantages < 0, ratios", "advantages > 0, ratios"),
                ("- 1.0 + ratios", "- 1.0 - ratios"),
                ("0.5 * ops.square(new - reference)", "new - reference"),
                (
                    "0.5 * ops.square(value - target)",
                    "ops.square(value - target)",
                ),
                (
                    "ops.maximum(variance, min_std**2)",
                    "ops.maximum(variance, min_std)",
                ),
                ("1.0 - left / ops.maximum", "left / ops.maximum"),
                (
                    "centered = advantages - masked_mean(advantages, mask)",
                    "centered = advantages",
                ),
                (
                    "return new, ops.stop_gradient(reference)",
                    "return new, reference",
                ),
            ),
        ),
        (
            "losses/schedules.py",
            "losses/schedules_test.py",
            (
                ("step >= self.warmup_steps", "step > self.warmup_steps"),
                ("or warmup_steps > 0", ""),
            ),
        ),
        (
            "losses/schedules.py",
            "losses/schedules_test.py",
            (("self._step.assign(step + 1)", "self._step.assign(step)"),),
        ),
        (
            "trainers/value_offset.py",
            "trainers/value_offset_test.py",
            (
                ("step < _CALIBRATION_STEPS", "step < 10 * _CALIBRATION_STEPS"),
                ("offset.assign(-ops.divide", "offset.assign(ops.divide"),
                ("level = -ops.divide", "level = ops.divide"),
                ("ops.where(is_new, self.decay, 1.0)", "self.decay"),
                ("ops.logical_or(is_new, is_unknown)", "is_unknown"),
                (
                    "            statistics.values + self.offset,\n",
                    "            statistics.values,\n",
                ),
            ),
        ),
        (
            "trainers/policy_gradient.py",
            "trainers/policy_gradient_test.py",
            (
                ("1e-6 if self.normalize", "1.0 if self.normalize"),
                (
                    "losses -= self.entropy_weight",
                    "losses += self.entropy_weight",
                ),
                ("advantages + values)", "advantages)"),
            ),
        ),
        (
            "trainers/online_trainer.py",
            "trainers/online_iq_learn_test.py",
            (
                (
                    "continues=sampled.continues",
                    "continues=sampled.weights > 0",
                ),
            ),
        ),
        (
            "trainers/iq_learn.py",
            "trainers/trainer_test.py",
            (("self._current_td_weight() * penalties", "0.5 * penalties"),),
        ),
        (
            "trainers/metrics.py",
            "trainers/metrics_test.py",
            (
                ("is_start(mask.weights)", "mask.weights"),
                ("masked_sum(ones, mask))", "1.0)"),
                ('"perplexity": -log_probs', '"perplexity": log_probs'),
            ),
        ),
        (
            "trainers/update_counter.py",
            "trainers/accumulation_test.py",
            (("num_waiting >= self._batches", "num_waiting > self._batches"),),
        ),
        (
            "trainers/rollouts.py",
            "trainers/rollouts_test.py",
            (
                ("ops.argsort(1 - is_text)", "ops.argsort(is_text)"),
                ("places - self.next_place", "places"),
                ("len(self.weights) - 1", "len(self.weights) - 2"),
            ),
        ),
        (
            "optimizers/token_weighted.py",
            "optimizers/token_weighted_test.py",
            (
                ("steps * value, nothing", "value, nothing"),
                ("norms[-1] / scale", "norms[-1] * scale"),
                ("broken_before < self.patience", "broken_before < 99"),
                ("g * (after / before)", "g * (before / after)"),
            ),
        ),
        (
            "data/tokenization.py",
            "data/pairs_test.py",
            (
                ("[len(prompts) :] = array[0]", "[len(prompts) :] = array[-1]"),
                ("len(prefix) - 1 : end", "len(prefix) : end"),
                ("text[1 : end + 1]", "text[:end]"),
                ("num_response_tokens\n", "num_response_tokens - 1\n"),
            ),
        ),
        (
            "data/texts.py",
            "data/texts_test.py",
            (
                (
                    "encode_sample_weight(self.mask, self.continues)",
                    "self.mask",
                ),
                (
                    "mask, continues = decode_sample_weight(self.mask)",
                    "mask, continues = self.mask, self.mask > 0",
                ),
            ),
        ),
        (
            "data/packing.py",
            "data/packing_test.py",
            (
                ("key=lambda i: -sizes[i]", "key=lambda i: sizes[i]"),
                ("segment_ids[here] = text + 1", "segment_ids[here] = 1"),
                ("int(end > 0 and packed.mask[text, 0] > 0)", "0"),
            ),
        ),
        (
            "data/shuffling.py",
            "data/dataset_test.py",
            (
                ("first = epoch * len(rows)", "first = 0"),
                ("generate_state(1)", "generate_state(1) * 0"),
            ),
        ),
        (
            "data/shares.py",
            "data/shares_test.py",
            (
                ("len(indices) - here.start", "len(indices)"),
                ("filled[here]", "filled[: here.stop - here.start]"),
            ),
        ),
        (
            "runtime/row_shares.py",
            "runtime/row_shares_test.py",
            (
                ("mine[0] // size,", "0,"),
                ("found[-1] - found[0] == size - 1", "True"),
            ),
        ),
        (
            "models/exporting.py",
            "models/exporting_test.py",
            (
                ("zip(updates, learned,", "zip([], [],"),
                ("if written not in (", "if None in ("),
            ),
        ),
        (
            "data/chats.py",
            "data/chats_test.py",
            (
                ('"assistant" and weight != 0)', '"assistant")'),
                ("turns[: imitated[-1] + 1]", "turns"),
            ),
        ),
        (
            "generation/samplers.py",
            "generation/samplers_test.py",
            (
                (
                    "in_groups(self._likelier(logits))",
                    "in_groups(logits)",
                ),
                (
                    "groups, values + noise[:, :num_groups]",
                    "groups, values - noise[:, :num_groups]",
                ),
                # The noise of the group for the token, too.
                ("noise[:, num_groups:]", "noise[:, :size]"),
                ("ops.less(before, self.top_p)", "ops.less(before, 1.0)"),
                (
                    "last = ops.maximum(count - 1, 0)",
                    "last = ops.maximum(count - 2, 0)",
                ),
                (
                    "ops.less(logits, least), -float",
                    "ops.less_equal(logits, least), -float",
                ),
                (
                    "* ops.log(-ops.log(uniform))",
                    "* ops.log(uniform)",
                ),
                (
                    "ops.logical_and(self.is_stop(token), ops.logical_not(given))",
                    "self.is_stop(token)",
                ),
                ("np.array([mixed, 0])", "np.array([seed[0], 0])"),
            ),
        ),
        (
            "generation/prompt_caches.py",
            "generation/prompt_caches_test.py",
            (
                (
                    "inputs[..., :1] if reverse else own(inputs)",
                    "own(inputs, reverse)",
                ),
                ("        wrap_call(layer, own)", "        pass"),
            ),
        ),
        (
            "generation/token_groups.py",
            "generation/samplers_test.py",
            (
                ("rest = -vocabulary_size % size", "rest = 0 * size"),
                ("constant_values=-float", "constant_values=float"),
                ("temperature * ops.log(", "ops.log("),
                ("/ heat)", "* heat)"),
                ("(total, 0.0), -float", "(total, 0.0), float"),
                ("highest, 0.0)", "highest, highest)"),
                ("inside = inside + noise", "inside = noise"),
                (
                    "group * groups.shape[-1] + ops",
                    "group * groups.shape[-2] + ops",
                ),
            ),
        ),
        (
            "optimizers/fused_updates.py",
            "optimizers/fused_updates_test.py",
            (
                (" / correction**0.5", ""),
                ("** (count + 1)", "** count"),
                ("float(count), device", "float(count + 1), device"),
                (".contiguous()", ""),
                ("        and not optimizer.amsgrad\n", ""),
                ("inner = optimizer.optimizers", "pass"),
            ),
        ),
        (
            "ops/kernels/torch.py",
            "ops/kernels/torch_test.py",
            (
                ("if number >= self.num_kept:", "if True:"),
                (
                    "block * self.num_kept + number",
                    "number * self.num_kept + block",
                ),
                ("kept.append(logits.clone())", "kept.append(logits)"),
                ("add_(rest)", "sub_(rest)"),
                ("beta=-1", "beta=1"),
                ("num_kept = 0 if expects else", "num_kept = 0 * "),
                (
                    "has_gradient = torch.is_grad_enabled() and",
                    "has_gradient =",
                ),
            ),
        ),
        (
            "generation/beam_search.py",
            "generation/beam_search_test.py",
            (
                ("((5.0 + num_tokens) / 6.0)", "((6.0 + num_tokens) / 6.0)"),
                ("logits - values[:, None]", "logits"),
                ("(tokens), chosen // size)", "(tokens), chosen * 0)"),
                ("better = ops.greater(", "better = ops.less("),
            ),
        ),
        (
            "generation/prompts.py",
            "generation/prompts_test.py",
            (
                ("self._needed[order] <= width", "self._needed[order] < width"),
                ("_MIN_BATCHES * batch_size", "0"),
                (
                    "np.minimum(self.starts + room, self._max_width)",
                    "self.starts",
                ),
            ),
        ),
        (
            "metrics/answers.py",
            "metrics/answers_test.py",
            (
                (
                    "1.0 - all_wrong / math.comb(num_samples, k)",
                    "all_wrong / math.comb(num_samples, k)",
                ),
                ("if number == most", "if number >= 1"),
                ("if a is not None", "if True"),
                ("least=1, most=fewest)", "least=1)"),
            ),
        ),
        (
            "metrics/bootstrap.py",
            "metrics/bootstrap_test.py",
            (
                ("t.ppf(share, df) ** 2 * v", "t.ppf(share, df) * v"),
                ("size / (size - 1)\n\n\ndef", "1.0\n\n\ndef"),
                ("(1 + level) / 2\n", "level\n"),
                ("stretched = moved / max", "stretched = moved * max"),
                ("default_rng((seed, stream))", "default_rng(seed)"),
            ),
        ),
        (
            "metrics/diversity.py",
            "metrics/diversity_test.py",
            (
                ("matches == 0, _EPSILON, matches", "matches == 0, 1, matches"),
                ("before <= after", "before < after"),
                (
                    "np.exp(1.0 - closest / np.maximum(1, lengths))",
                    "np.exp(1.0 - lengths / np.maximum(1, closest))",
                ),
                ("is_largest & is_alone, second", "is_largest, second"),
                ("np.where(is_zero, 0, scores)", "scores"),
                ("rows[: len(ngrams)] == rows[order:]", "rows[order:] >= 0"),
                ("len(set(ngrams)) /", "len(ngrams) /"),
            ),
        ),
        (
            "metrics/quality.py",
            "metrics/quality_test.py",
            (
                ("100 * (5 * precision", "100 * (2 * precision"),
                ("range(1, 7)", "range(1, 6)"),
                ("100.0 * (words(response)", "1.0 * (words(response)"),
            ),
        ),
        (
            "metrics/rouge.py",
            "metrics/rouge_test.py",
            (
                ('"rouge2", responses', '"rouge1", responses'),
                ("self._split(text.lower())", "self._split(text)"),
                ('if "\\n" in text:', 'if "x" in text:'),
            ),
        ),
    )
    for old, new in changes
]
