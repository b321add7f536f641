"""Which backends run a test in `make test`; `make nightly` runs all on all.

An equation, a kernel and a compiled step may differ from backend to backend,
and are tested on each. What is written once for all of them, such as the
command line, is tested where it is quickest: PyTorch compiles nothing, and
takes a third of the time. Whatever is asked for by its path runs.

    python tests/suite_plan.py      # Did every test run on some backend?
"""

import json
import os
import pathlib
import sys

BACKENDS = ("jax", "tensorflow", "torch")
QUICKEST = "torch"
# Set by `make nightly`.
EVERYWHERE = "KERAS_IRL_EVERY_BACKEND"
# A folder; where it is set, a run writes there what it ran and what it left.
RECORD = "KERAS_IRL_RECORD"

# Once is enough for these, also in `make nightly`.
BACKEND_FREE = (
    "aliases_test.py",
    "architecture_test.py",
    "arguments_test.py",
    "benchmarks",
    "cli/chosen_metrics_test.py",
    "cli/config_test.py",
    "cli/decoders_test.py",
    "cli/doctor_test.py",
    "cli/early_checks_test.py",
    "cli/flag_values_test.py",
    "cli/flags_test.py",
    "cli/output_folder_test.py",
    "cli/output_lock_test.py",
    "cli/provenance_test.py",
    "cli/stopping_test.py",
    "cli/terminal_test.py",
    "cli/training_flags_test.py",
    "columns_test.py",
    "decoding_test.py",
    "docs_test.py",
    "docstrings_test.py",
    "error_texts_test.py",
    "escaping_test.py",
    "evaluation/front_comparison_test.py",
    "evaluation/fronts_test.py",
    "evaluation/results_test.py",
    "files/paths_test.py",
    "generation/decoders_test.py",
    "metrics",
    "mutation",
    "ops/kernels/tiling_test.py",
    "quick_check_test.py",
    "reporting",
    "rewards/correlations_test.py",
    "rewards/selection_test.py",
    "runtime/progress_test.py",
    "runtime/signals_test.py",
    "spelling_test.py",
    "suite_plan_test.py",
    "tasks",
)
_TORCH = ("torch",)
_JAX = ("jax",)
_TORCH_AND_JAX = ("torch", "jax")
_ALL = BACKENDS
# The longest entry that a test begins with counts; without one, all run it.
PLAN = {
    "callbacks": _TORCH,
    "callbacks/checkpoint_test.py::test_a_killed_training_ends_as_one_that_was"
    "_not[iq_learn]": _ALL,
    "callbacks/training_health_test.py::test_training_does_not_wait": _ALL,
    "cli": _TORCH,
    "data": _TORCH,
    "data/dataset_test.py::test_a_policy_learns_from_it": _TORCH_AND_JAX,
    "data/dataset_test.py::test_fit_and_evaluate_of_keras_hub": _ALL,
    "data/shares_test.py": _TORCH,
    "diagnosis": _TORCH,
    "distribution/cluster_test.py": _JAX,
    "distribution/cluster_test.py::test_other_backends": _TORCH,
    "diagnosis/policy_checks_test.py::test_what_is_said_of_bfloat16": (
        _TORCH_AND_JAX
    ),
    "diagnosis/memory_test.py::test_is_near_what_xla_reserves": _JAX,
    # Keras distributes there alone.
    "runtime/devices_test.py": _JAX,
    "distribution": _JAX,
    "evaluation": _TORCH,
    "evaluation/sweeps_test.py::test_no_row_is_timed": _JAX,
    "expected_warnings_test.py": _TORCH,
    "families/family_test.py": _TORCH,
    "families/role_rules_test.py": _TORCH,
    "families/roles_test.py": _TORCH,
    "families/segments_test.py": _TORCH_AND_JAX,
    "families/special_tokens_test.py": _TORCH,
    "families/text_marks_test.py": _TORCH,
    "families/heads_test.py::test_learns_generates_and_is_saved": _TORCH,
    "families/heads_test.py::test_learns_generates_and_is_saved[llama]": (
        _TORCH_AND_JAX
    ),
    # What differs is the kernel: that a policy learns the same by it is told on
    # each by tests/models/tiling_test.py.
    "families/heads_test.py::test_tiled_or_not": _TORCH,
    "families/heads_test.py::test_no_family": _TORCH,
    "families/heads_test.py::test_objectives_that_draw": _TORCH,
    "families/heads_test.py::test_the_table": _TORCH,
    "families/heads_test.py::test_the_response_and_its_end": _TORCH,
    "fuzz": _TORCH,
    # The loop is compiled with one family; it asks nothing of the others.
    "generation/beam_search_test.py::test_a_policy_is_searched": _TORCH,
    "generation/beam_search_test.py::test_a_policy_is_searched_as_by_a_loop_over"
    "_lists[gpt2]": _ALL,
    "generation/decoded_families_test.py": _TORCH_AND_JAX,
    "generation/drawing_test.py": _TORCH_AND_JAX,
    "generation/drawing_test.py::test_a_training_step_draws": _TORCH,
    "generation/drawing_test.py::test_a_training_step_draws_with_its_weights_and"
    "_keeps_the_noise[t5]": _ALL,
    "generation/entropies_test.py": _TORCH_AND_JAX,
    "generation/prompt_caches_test.py": _TORCH,
    "generation/prompts_test.py": _TORCH,
    "generation/responses_test.py": _TORCH,
    "generation/sampled_responses_test.py": _TORCH,
    "generation/sampled_responses_test.py::test_answers_during_fit": (
        _TORCH_AND_JAX
    ),
    "generation/sampled_responses_test.py::test_compiles_once": _JAX,
    "generation/sampled_responses_test.py::test_greedy": _TORCH_AND_JAX,
    "generation/sampled_responses_test.py::test_leaves_the": _TORCH_AND_JAX,
    "generation/sampled_responses_test.py::test_warmed_up": _JAX,
    "guides": _TORCH,
    # What asks Keras's layers is the same on all; `make canary` asks on two.
    "keras_seams_test.py": _TORCH,
    "keras_seams_test.py::test_a_second_policy": _TORCH_AND_JAX,
    "keras_seams_test.py::test_a_validation_still": _ALL,
    "keras_seams_test.py::test_a_distribution_leaves": _JAX,
    "keras_seams_test.py::test_a_variable_": _JAX,
    "keras_seams_test.py::test_an_optimizer_knows": _ALL,
    "keras_seams_test.py::test_clearing_is_nothing": ("tensorflow",),
    "keras_seams_test.py::test_logits_and_states": ("torch", "tensorflow"),
    "keras_seams_test.py::test_the_code_that_shows": _JAX,
    "keras_seams_test.py::test_the_global_generator": _ALL,
    "keras_seams_test.py::test_the_preprocessing": _TORCH_AND_JAX,
    "keras_seams_test.py::test_the_state_of_a_step": _JAX,
    # That padding teaches nothing is told by the gradients of each equation;
    # the logits reach them by one path, whatever the divergence.
    "losses/garbage_test.py::test_logits_of_padding": _TORCH_AND_JAX,
    "losses/garbage_test.py::test_logits_of_padding_change_neither_loss_nor"
    "_gradient[chi2]": _ALL,
    "losses/garbage_test.py::test_logits_of_padding_change_neither_loss_nor"
    "_gradient[mle]": _ALL,
    "losses/garbage_test.py::test_numbers_of_functions": _TORCH,
    "imports_test.py": _TORCH,
    "main_test.py": _TORCH,
    "models/copying_test.py": _TORCH,
    "models/exporting_test.py": _TORCH,
    "models/lora_test.py": _TORCH,
    "models/lora_test.py::test_nothing_but_the_updates_moves[gpt2]": _ALL,
    "models/policy_arguments_test.py": _TORCH,
    "models/policy_model_test.py": _TORCH,
    "models/policy_reader_test.py": _TORCH_AND_JAX,
    "models/presets_test.py": _TORCH,
    "models/rematerialization_test.py": _TORCH,
    "models/rematerialization_test.py::test_learns_as_before": _ALL,
    "models/rematerialization_test.py::test_keeps_less": _TORCH_AND_JAX,
    "models/scratch_test.py": _TORCH,
    "models/scratch_test.py::test_weights_are_drawn_by_numpy": _ALL,
    "models/seeding_test.py": _TORCH,
    "models/token_scorer_test.py": _TORCH_AND_JAX,
    # On JAX, `GAIL` waits for its networks in tests/trainers/gail_test.py.
    # Each kernel is tested in tests/ops/kernels with every head; here each head
    # is once, with all sizes and with a bias and without.
    "ops/tiled_statistics_test.py::test_equals_the_plain_path": _TORCH,
    "ops/tiled_statistics_test.py::test_equals_the_plain_path[tied-0]": _ALL,
    "ops/tiled_statistics_test.py::test_equals_the_plain_path[untied-1]": _ALL,
    "ops/tiled_statistics_test.py::test_equals_the_plain_path[scaled-1]": _ALL,
    "ops/tiled_statistics_test.py::test_equals_the_plain_path[capped-0]": _ALL,
    "ops/tiled_statistics_test.py::test_equals_the_plain_path"
    "[untied, capped-1]": _ALL,
    "ops/tiled_statistics_test.py::test_a_frozen_head": _TORCH,
    "ops/tiled_statistics_test.py::test_a_frozen_head_gets_no_gradient_and"
    "_changes_no_other[tied-0.0]": _ALL,
    "ops/tiled_statistics_test.py::test_a_frozen_head_gets_no_gradient_and"
    "_changes_no_other[untied, capped-0.3]": _ALL,
    "optimizers/network_optimizers_test.py": _TORCH,
    "optimizers/network_optimizers_test.py::test_steps_without": _ALL,
    "optimizers/network_optimizers_test.py::test_what_is_not_finite": _ALL,
    # What it once leaked into the next training were tracers of JAX.
    "optimizers/token_weighted_test.py::test_an_optimizer_is_left": (
        _TORCH_AND_JAX
    ),
    "optimizers/token_weighted_test.py::test_callbacks_of_keras": _TORCH,
    "optimizers/token_weighted_test.py::test_compiling_again": _TORCH_AND_JAX,
    "optimizers/token_weighted_test.py::test_it_is_saved": _TORCH,
    "optimizers/unwrapping_test.py": _TORCH,
    "runtime/processes_test.py": _TORCH,
    "runtime/processes_test.py::test_outputs_of_a_step": _JAX,
    "runtime/engines_test.py": _TORCH,
    "runtime/row_shares_test.py": _TORCH,
    "runtime/engines_test.py::test_a_mirrored_strategy": ("tensorflow",),
    "runtime/engines_test.py::test_replicas_of_tensorflow": ("tensorflow",),
    "pages_test.py": _TORCH,
    "readme_test.py": _TORCH,
    "readme_test.py::test_the_lines_for_several": _JAX,
    "readme_test.py::test_the_python_examples": _JAX,
    "rewards": _TORCH,
    "rewards/token_rewards_test.py::test_compiles_once": _JAX,
    # Weights and norms of gradients are told by the tests of the optimizer.
    "trainers/accumulation_test.py": _TORCH,
    "trainers/accumulation_test.py::test_accumulated_batches_are_one_large"
    "_batch[0.1-0]": _ALL,
    "trainers/checks_test.py": _TORCH,
    "trainers/device_checks_test.py": _JAX,
    "trainers/fit_arguments_test.py": _TORCH,
    # Keras has no `steps_per_execution` on PyTorch.
    "trainers/fit_arguments_test.py::test_every_batch_is_trained_once_an_epoch"
    "_whatever_an_execution": _JAX,
    "trainers/fit_arguments_test.py::test_every_batch_is_trained_once_an_epoch"
    "_whatever_an_execution[3]": ("jax", "tensorflow"),
    "trainers/fit_arguments_test.py::test_executions_that_would_read": (
        "jax",
        "tensorflow",
    ),
    "trainers/fit_arguments_test.py::test_repeated_data": _TORCH_AND_JAX,
    "trainers/default_networks_test.py": _TORCH,
    "trainers/gail_test.py": _TORCH,
    "trainers/gail_test.py::test_each_optimizer_moves": _TORCH_AND_JAX,
    "trainers/gail_test.py::test_fits_logs_and_is_saved": _TORCH_AND_JAX,
    "trainers/gail_test.py::test_no_gradient_flows": _TORCH_AND_JAX,
    # On TensorFlow: its loss, networks and tape, without a step that draws,
    # which `OnlineIQLearn` compiles there.
    "trainers/gail_test.py::test_the_gradient_of_each_network": _ALL,
    "trainers/gail_test.py::test_steps_are_compiled_once": _TORCH_AND_JAX,
    "trainers/noise_test.py": _TORCH,
    "trainers/nonfinite_updates_test.py": _TORCH,
    "trainers/nonfinite_updates_test.py::test_a_broken_batch_leaves_no_trace"
    "[2]": _ALL,
    "trainers/nonfinite_updates_test.py::test_a_fit_ends_at_the_first_loss_that"
    "_is_not_finite[iq_learn]": _TORCH_AND_JAX,
    "trainers/nonfinite_updates_test.py::test_an_end_is_noticed": _ALL,
    "trainers/nonfinite_updates_test.py::test_overflows_that_loss_scaling": (
        _ALL
    ),
    "trainers/numbers_test.py": _TORCH,
    "trainers/online_iq_learn_test.py": _TORCH,
    # It draws texts at every step, which takes longest where nothing compiles.
    "trainers/online_iq_learn_test.py::test_learns_and_is_saved": _JAX,
    "trainers/online_iq_learn_test.py::test_steps_are_compiled_once": _ALL,
    "trainers/online_iq_learn_test.py::test_xla_is_refused": _ALL,
    "trainers/online_trainer_test.py": _TORCH,
    "trainers/policy_gradient_test.py": _TORCH,
    "trainers/process_shares_test.py": _TORCH,
    "trainers/precision_test.py": _TORCH_AND_JAX,
    "trainers/quantization_test.py": _TORCH,
    "trainers/resume_test.py": _TORCH,
    "trainers/resuming_test.py": _TORCH,
    "trainers/rollouts_test.py": _TORCH,
    "trainers/rollouts_test.py::test_rollouts_answer_the_prompts_of_the_batch"
    "[t5]": _TORCH_AND_JAX,
    "trainers/deferred_signals_test.py": _TORCH_AND_JAX,
    # Where a step gives its weights away, there is most to lose; that no moment
    # drops a signal is asked of both.
    "trainers/deferred_signals_test.py::test_ctrl_c_ends_a_training": _JAX,
    "trainers/step_cost_test.py": _TORCH,
    "trainers/step_cost_test.py::test_a_stopwatch_takes": _ALL,
    # Told before anything is compiled.
    "trainers/trainer_test.py::test_a_frozen_policy": _TORCH,
    "trainers/trainer_test.py::test_a_loss_of_its_own": _TORCH,
    "trainers/trainer_test.py::test_says_what_it_trains": _TORCH,
    "trainers/trainer_test.py::test_training_without_a_mask": _TORCH,
    # PyTorch alone keeps gradients.
    "trainers/trainer_test.py::test_gradients_of_earlier_steps": _TORCH,
    # On TensorFlow: tests/optimizers/token_weighted_test.py.
    "trainers/trainer_test.py::test_the_gradient_norm": _TORCH_AND_JAX,
    "trainers/trainer_test.py::test_what_layers_ask_for": _TORCH_AND_JAX,
    "trainers/trainer_test.py::test_iq_learn_conforms[gpt2]": (
        "torch",
        "tensorflow",
    ),
    "trainers/trainer_test.py::test_a_trainer_and_a_compiled": _TORCH,
    "trainers/trainer_test.py::test_a_trainer_and_a_compiled_policy_learn_the"
    "_same[gpt2]": _TORCH_AND_JAX,
    # The order is that of the data; on JAX, what goes on is told by
    # tests/callbacks/checkpoint_test.py.
    "trainers/trainer_test.py::test_every_epoch_has_an_order": _TORCH,
    "trainers/trainer_test.py::test_iq_learn_conforms[bart]": _TORCH,
    "trainers/trainer_test.py::test_iq_learn_conforms[t5]": _TORCH_AND_JAX,
    # On JAX and TensorFlow: tests/trainers/metrics_test.py.
    "trainers/trainer_test.py::test_metrics_are_means": _TORCH,
    "trainers/trainer_test.py::test_what_is_no_language": _TORCH,
    "trainers/trainer_test.py::test_arguments_out": _TORCH,
    "trainers/trainer_test.py::test_mle_conforms": _TORCH,
    "trainers/trainer_test.py::test_validation_and_callbacks": _TORCH_AND_JAX,
    "trainers/trainer_test.py::test_without_a_penalty": _TORCH,
    "trainers/value_offset_test.py": _TORCH,
    "trainers/value_offset_test.py::test_only_the_first_batches": _ALL,
}
# What `make check` runs of the equations: the oracle of each, or an identity.
EQUATIONS = (
    "losses/divergences_test.py::test_is_the_conjugate_of_its_generator",
    "losses/finite_test.py"
    "::test_the_gradient_is_zero_where_an_input_is_not_finite",
    "losses/gail_test.py::test_is_the_binary_cross_entropy",
    "losses/gail_test.py::test_rewards_have_the_sign_of_their_form",
    "losses/garbage_test.py::test_garbage_where_tokens_count_shows",
    "losses/iq_learn_test.py::test_matches_the_equation",
    "losses/iq_learn_test.py::test_every_divergence_matches_the_equation",
    "losses/mle_test.py::test_the_bonus_is_the_mean_entropy",
    "losses/policy_gradient_test.py"
    "::test_the_gradient_is_that_of_the_expected_return",
    "losses/policy_gradient_test.py"
    "::test_explained_variance_is_1_for_perfect_and_0_for_constant_values",
    "losses/policy_gradient_test.py::test_the_kl_is_estimated_without_bias",
    "losses/policy_gradient_test.py::test_values_are_drawn_to_their_targets",
    "losses/schedules_test.py"
    "::test_is_zero_until_the_warm_up_is_over_and_stays_over",
    "losses/token_loss_test.py::test_is_the_mean_over_the_tokens_that_count",
    "losses/token_tree_test.py::test_the_expert_of_a_solved_problem_is_recovered",
    "ops/masking_test.py::test_only_the_tokens_that_count_enter_the_mean",
    "ops/old_names_test.py::test_marks_are_read",
    "ops/sample_weights_test.py::test_what_is_encoded_is_decoded",
    "ops/returns_test.py::test_advantages_are_those_of_the_recursion",
    "ops/shapes_test.py::test_a_letter_is_one_size_wherever_it_stands",
    "ops/statistics_test.py::test_matches_a_loop_over_tokens",
    "ops/tiled_statistics_test.py::test_equals_the_plain_path",
    "ops/values_test.py::test_rewards_match_a_loop_over_tokens",
    "ops/vocabulary_head_test.py::test_values_match_the_equation",
)
# Of the families, these stand for the others where compiling takes long: an
# encoder-decoder, a decoder of absolute and one of relative positions.
EXAMPLES = ("t5", "gpt2", "llama")
# Those that take longest begin first: no worker is left alone with them.
SLOWEST = (
    "guides_test.py",
    "public_callables_test.py",
    "compare_test.py",
    "gail_test.py",
    "resume_test.py",
    "trainer_test.py",
    "online_iq_learn_test.py",
    "readme_test.py",
)


def is_backend_free(place):
    """Whether a test needs no backend; `place` is its file in this folder."""
    parts = place.split("/")
    prefixes = {"/".join(parts[: i + 1]) for i in range(len(parts))}
    return bool(prefixes.intersection(BACKEND_FREE))


def planned_backends(test, family=None):
    """The backends that run a test, by the longest entry of the plan.

    A family of language models that stands for no other is tested where that
    is quickest, unless an entry names its very test or leaves that backend out.
    """
    entries = [entry for entry in PLAN if _belongs(test, entry)]
    longest = max(entries, key=len, default="")
    planned = PLAN.get(longest, BACKENDS)
    stands_alone = family is None or family in EXAMPLES or "[" in longest
    if stands_alone or QUICKEST not in planned:
        return planned
    return (QUICKEST,)


def _belongs(test, entry):
    if "::" in entry:
        return test.startswith(entry)
    return test.startswith((f"{entry}/", f"{entry}::"))


def never_run(folder):
    """Tests that a plan left to another backend, and that ran on none."""
    records = [
        json.loads(file.read_text("utf-8")) for file in folder.glob("*.json")
    ]
    ran = {test for record in records for test in record["ran"]}
    left = {test for record in records for test in record["left"]}
    return sorted(left - ran)


def main():
    found = never_run(pathlib.Path(os.environ[RECORD]))
    if found:
        print("Planned for a backend on which they did not run:")
        print(*found, sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
