"""Prompts and responses in JSON lines, and conversations as such."""

from keras_irl.data.chat_template import joined_turns
from keras_irl.data.chat_turns import read_turns
from keras_irl.data.json_lines import check_text
from keras_irl.data.json_lines import parse_object
from keras_irl.data.json_lines import text_of
from keras_irl.data.lines import LineError
from keras_irl.data.lines import excerpt
from keras_irl.data.validation import InvalidRowError


def parse_pairs(line):
    """Reads what a line demonstrates.

    Args:
        line: Bytes: an object with the columns `prompt` and `response`, or
            `prompt` and a list of `responses`, or `messages`. A column that is
            null is as absent.

    Returns:
        Tuple of the prompt and the list of its responses.

    Raises:
        LineError: If it is no such line.
    """
    row = parse_object(line)
    if row.get("messages") is not None:
        prompt, response = conversation_pair(row)
        return prompt, [response]
    prompt = text_of(row, "prompt")
    if row.get("responses") is None:
        return prompt, [text_of(row, "response")]
    responses = row["responses"]
    if row.get("response") is not None:
        raise LineError(
            "there are both columns, 'response' and 'responses'",
            f"columns={excerpt(list(row))}",
        )
    if not isinstance(responses, list) or not responses:
        raise LineError(
            "the column 'responses' must be a list of strings",
            f"responses={excerpt(responses)}",
        )
    return prompt, [check_text(text, "responses") for text in responses]


def conversation_pair(row):
    r"""Reads a conversation as a prompt and its response.

    The response is the last turn of the assistant whose weight is not 0, the
    prompt all that was said before, with the words of the template
    `keras_irl.data.PLAIN` around it.

    Args:
        row: Dictionary with the column `messages`, a list of turns as
            `keras_irl.data.chat_demonstrations` takes them.

    Returns:
        Tuple of two strings.

    Raises:
        LineError: If it is no conversation, or there are other columns of
            texts.

    Example:
    >>> turns = [
    ...     {"role": "user", "content": "2 + 3?"},
    ...     {"role": "assistant", "content": "5"},
    ... ]
    >>> conversation_pair({"messages": turns})
    ('User:\n2 + 3?\n\nAssistant:\n', '5')
    """
    others = [
        name
        for name in ("prompt", "response", "responses")
        if row.get(name) is not None
    ]
    if others:
        raise LineError(
            f"there are both columns, 'messages' and {others[0]!r}",
            f"columns={excerpt(list(row))}",
        )
    messages = row["messages"]
    try:
        *before, last = read_turns(0, messages)
    except InvalidRowError as error:
        raise LineError(
            f"in the column 'messages', {error.problem.rstrip('.')}",
            f"messages={excerpt(messages)}",
        ) from None
    return joined_turns(before), last.content
