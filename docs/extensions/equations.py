r"""The equations of docstrings, for MathJax.

In a docstring an equation stands in letters that every terminal has, such as
`rₜ = Q(sₜ, aₜ) − γ V(sₜ₊₁)`. These are the same for a page.
"""

_REWARD = r"r_t = Q(s_t, a_t) - \gamma V(s_{t+1})"
_IQ_LEARN = (
    r"\mathrm{loss}_t = -\log \pi(a_t \mid s_t) + \lambda\, r_t^2,"
    rf"\qquad {_REWARD}"
)
_MLE = (
    r"\mathrm{loss}_t = -\log \pi(a_t \mid s_t)"
    r" - w\, H\bigl(\pi(\cdot \mid s_t)\bigr)"
)
_CLIPPED = (
    r"\mathrm{loss}_t = -\min\bigl(\rho_t A_t,\;"
    r"\mathrm{clip}(\rho_t, 1 - \epsilon, 1 + \epsilon)\, A_t\bigr)"
)

EQUATIONS = {
    "losses.mle_loss": (
        r"\mathrm{loss}_t = -\log \pi(a_t \mid s_t) = V(s_t) - Q(s_t, a_t)"
    ),
    "losses.entropy_loss": (
        r"\mathrm{loss}_t = -w\, H\bigl(\pi(\cdot \mid s_t)\bigr)"
    ),
    "losses.MLELoss": _MLE,
    "losses.iq_learn_loss": _IQ_LEARN,
    "losses.IQLearnLoss": _IQ_LEARN,
    "losses.discriminator_loss": (
        r"\mathrm{loss}_t = \begin{cases}"
        r"-\log \sigma(D_t) & \text{on demonstrations} \\"
        r"-\log\bigl(1 - \sigma(D_t)\bigr) & \text{on rollouts}\end{cases}"
    ),
    "losses.discriminator_entropies": (
        r"H = -\sigma(D) \log \sigma(D)"
        r" - (1 - \sigma(D)) \log (1 - \sigma(D))"
        r" = \mathrm{softplus}(D) - \sigma(D)\, D"
    ),
    "losses.policy_gradient_loss": _CLIPPED,
    "losses.td_penalty": rf"\mathrm{{penalty}}_t = r_t^2, \qquad {_REWARD}",
    "losses.adversarial_rewards": (
        r"r(D) = -\log\bigl(1 - \sigma(D)\bigr) = \log\bigl(1 + e^D\bigr)"
    ),
    "losses.kl_loss": (
        r"\mathrm{loss}_t = \tfrac{1}{2} d_t^2, \qquad"
        r"\mathbb{E}[\nabla \mathrm{loss}_t]"
        r" = \mathbb{E}[d_t \nabla \log \pi]"
        r" = \nabla\, \mathrm{KL}(\pi \,\|\, \pi_\mathrm{ref})"
    ),
    "losses.kl_estimates": (
        r"\mathrm{KL}(\pi \,\|\, \pi_\mathrm{ref})"
        r" = \mathbb{E}\bigl[e^{-d_t} - 1 + d_t\bigr]"
    ),
    "losses.value_loss": (
        r"\mathrm{loss}_t = \tfrac{1}{2}"
        r"\bigl(V(s_t) - \mathrm{target}_t\bigr)^2"
    ),
    "ops.token_statistics": (
        r"V(s_t) = \log \sum_a e^{Q(s_t, a)}, \qquad"
        r"H\bigl(\pi(\cdot \mid s_t)\bigr)"
        r" = V(s_t) - \sum_a \pi(a \mid s_t)\, Q(s_t, a)"
    ),
    "losses.normalize_advantages": (
        r"\frac{A_t - \bar{A}}"
        r"{\max\bigl(\mathrm{min\_std},\; \mathrm{std}(A)\bigr)}"
    ),
    "losses.explained_variance": (
        r"1 - \frac{\mathrm{Var}(\mathrm{target} - V)}"
        r"{\mathrm{Var}(\mathrm{target})}"
    ),
    "ops.discounted_returns": r"G_t = \sum_k \gamma^k\, r_{t+k}",
    "ops.generalized_advantages": (
        r"\delta_t = r_t + \gamma V(s_{t+1}) - V(s_t), \qquad"
        r" A_t = \sum_k (\gamma \lambda)^k\, \delta_{t+k}"
    ),
    "ops.VocabularyHead": (
        r"Q(s, \cdot) = c\, \tanh\Bigl("
        r"\frac{\alpha W h + b}{c}\Bigr)"
    ),
    "ops.implicit_rewards": _REWARD,
    "ops.next_values": (
        r"V(s_{t+1}), \quad\text{or } 0"
        r" \text{ after the last action of a text}"
    ),
    "ops.offset_sums": r"c = -\frac{\sum k_t r_t}{\sum k_t^2}",
    "ops.log_probs": r"\log \pi(a_t \mid s_t) = Q(s_t, a_t) - V(s_t)",
    "trainers.MLE": _MLE,
    "trainers.IQLearn": _IQ_LEARN,
    "trainers.OnlineIQLearn": (
        r"\mathrm{loss} = \mathbb{E}[-\log \pi(a_t \mid s_t)]"
        r" + \lambda \bigl\{(1 - \alpha)\, \mathbb{E}[r_t^2]"
        rf" + \alpha\, \mathbb{{E}}'[r_t^2]\bigr\}}, \qquad {_REWARD}"
    ),
    "trainers.GAIL": (
        r"\begin{gathered}"
        r"\mathrm{loss}_D = \begin{cases}"
        r"-\log \sigma(D_t) & \text{on demonstrations} \\"
        r"-\log\bigl(1 - \sigma(D_t)\bigr) & \text{on rollouts}\end{cases}"
        rf" \\ {_CLIPPED} + \tfrac{{\beta}}{{2}}\, d_t^2 \\"
        r"\mathrm{loss}_V = \tfrac{1}{2}"
        r"\bigl(V(s_t) - \mathrm{target}_t\bigr)^2"
        r"\end{gathered}"
    ),
    "trainers.PolicyGradient": (
        rf"{_CLIPPED} - w\, H\bigl(\pi(\cdot \mid s_t)\bigr)"
    ),
    "trainers.ValueOffset": (
        r"c = -\frac{\sum k_t r_t}{\sum k_t^2}, \qquad r_t(c) = r_t + c\, k_t"
    ),
    "rewards.token_rewards": _REWARD,
    "optimizers.TokenWeightedOptimizer": (
        r"M_j = \frac{N_{j-1}}{N_j}\, M_{j-1} + \frac{n_j}{N_j}\, g_j"
    ),
    "generation.TokenSampler": (
        r"a = \arg\max_i\, (\mathrm{logits}_i + \tau g_i)"
        r" \;\sim\; \mathrm{softmax}(\mathrm{logits} / \tau)"
    ),
    "generation.BeamSearcher": (
        r"\log \pi(\mathrm{text} \mid \mathrm{prompt})"
        r" \Big/ \Bigl(\frac{5 + L}{6}\Bigr)^{\alpha}"
    ),
    "evaluation.area_under_front": (
        r"100 \cdot \frac{\mathrm{area}\bigl(\bigcup_i"
        r" [q_0, q_i] \times [d_0, d_i]\bigr)}"
        r"{(100 - q_0)(100 - d_0)}"
    ),
    "metrics.self_bleu": (
        r"\mathrm{BLEU} = \min\bigl(1, e^{1 - r / c}\bigr)\,"
        r"(p_1 \cdots p_N)^{1/N}"
    ),
    "metrics.pass_at_k": (
        r"\mathrm{pass@}k = 1 - \binom{n - c}{k} \Big/ \binom{n}{k}"
    ),
}


def of(name):
    """Finds the equation of what a docstring is of, or `None`.

    Args:
        name: Its name, as `"keras_irl.losses.iq_learn_loss"`.
    """
    parts = name.split(".")
    return EQUATIONS.get(f"{parts[1]}.{parts[-1]}") if len(parts) > 2 else None
