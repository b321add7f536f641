from keras_irl.cli.parser import parse_arguments
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.data import load_task

TRAIN = (["a b", "a b c"], ["d e", "d"])
# Nothing like it is in the training texts, so a letter is a token.
LONG = (["z" * 20], ["y" * 30])


def lengths_of(arguments, *pairs):
    options = parse_arguments(["compare", "--task=e2e", *arguments.split()])
    return SequenceLengths(options, *pairs)


def test_the_longest_texts_fit():
    lengths = []
    for pairs in ((TRAIN, TRAIN), (TRAIN, TRAIN, LONG)):
        of_decoder = lengths_of("--preset gpt2-scratch-tiny", *pairs)
        lengths.append(of_decoder.max_length)
    assert lengths[0] == 8
    # Twenty tokens of the prompt, thirty of the response, one at each end.
    assert lengths[1] == 56


def test_an_encoder_and_its_decoder_have_their_own_lengths():
    made = lengths_of("--preset t5-scratch-tiny", TRAIN, TRAIN)
    policy = made.load_policy(seed=0)
    assert (made.max_prompt_length, made.max_length) == (8, 8)
    assert policy.preprocessor.encoder_sequence_length == 8
    assert policy.preprocessor.decoder_sequence_length == 8
    made = lengths_of(
        "--preset t5-scratch-tiny --max-prompt-length 7 --max-length 9",
        TRAIN,
        TRAIN,
    )
    assert (made.max_prompt_length, made.max_length) == (7, 9)


def test_a_task_of_its_first_prompts_is_a_copy():
    task = load_task("arithmetic", "test")
    fewer = task.first(3)
    assert fewer.prompts == task.prompts[:3]
    assert fewer.references == task.references[:3]
    assert len(task.prompts) == 240
    assert fewer.metrics == task.metrics
