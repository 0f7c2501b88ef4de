"""Python and JavaScript reshape a position alike: the cases and the fuzz that they share."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from di_magics.core.sampling import DEFAULT_ORDER, reshape

CASES = json.loads(Path(__file__).with_name("sampling_cases.json").read_text("utf-8"))
IN_NODE = Path(__file__).resolve().parents[1] / "js" / "positions.mjs"
OFF = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
FILTERS = ["top_k", "top_p", "min_p", "temperature 0"]
CLOSE = 1e-6


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return what Python makes of a position, in lists by token."""
    top = list(enumerate(question["logprobs"]))
    settings = OFF | question["settings"]
    result = reshape(top, question["vocabulary"], settings, question["window"], question["zero"])
    return {
        "probs": [list(result.probs.get(token, (0.0, 0.0))) for token, _ in top],
        "rest": list(result.rest),
        "cut": [result.cut.get(token, "") for token, _ in top],
        "doubts": [sorted(result.doubts.get(token, ()), key=FILTERS.index) for token, _ in top],
        "exact": result.exact,
        "survivors": result.survivors,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_python_computes_the_shared_cases(case: list[Any]) -> None:
    """By the file that JavaScript reads, too."""
    _, shares, vocabulary, settings, window, zero, probs, rest, cut, survivors = case
    question = {
        "logprobs": [math.log(share) for share in shares],
        "vocabulary": vocabulary,
        "settings": settings,
        "window": window,
        "zero": zero,
    }
    result = answer(question)
    assert flat(result["probs"]) == pytest.approx(flat(probs), abs=CLOSE)
    assert result["rest"] == pytest.approx(rest, abs=CLOSE)
    assert (result["cut"], result["survivors"]) == (cut, survivors)


def flat(pairs: list[list[float]]) -> list[float]:
    """Return the numbers of pairs."""
    return [number for pair in pairs for number in pair]


def random_question(chance: random.Random) -> dict[str, Any]:
    """Return a position of a random vocabulary, of which some is returned, and random settings."""
    size = chance.choice([3, 8, 60, 300])
    spread = chance.choice([0.5, 1.5, 3])
    logits = sorted((chance.gauss(0, spread) for _ in range(size)), reverse=True)
    norm = math.log(math.fsum(map(math.exp, logits)))
    order = list(DEFAULT_ORDER)
    chance.shuffle(order)
    return {
        "logprobs": [logit - norm for logit in logits[: chance.choice([1, 3, 20, 300])]],
        "vocabulary": chance.choice([size, size, None]),
        "settings": {
            "temperature": chance.choice([0, 0.3, 0.8, 1, 1.5, 2]),
            "top_k": chance.choice([0, 0, 1, 5, 40, 100]),
            "top_p": chance.choice([1, 0.95, 0.9, 0.5, 0.1]),
            "min_p": chance.choice([0, 0.02, 0.1, 0.5, 1]),
            "repeat_penalty": chance.choice([1, 1, 1.1, 1.5, 0.9]),
            "frequency_penalty": chance.choice([0, 0, 0.5, -0.5, 2]),
            "presence_penalty": chance.choice([0, 0, 0.5, -1, 2]),
            "samplers": order,
        },
        "window": [chance.randrange(size) for _ in range(chance.choice([0, 5, 64, 100]))],
        "zero": chance.choice([None, chance.uniform(5, 30)]),
    }


@pytest.mark.no_cover
def test_python_and_javascript_agree() -> None:
    """On 5,000 random positions, in any order of the filters."""
    node = shutil.which("node")
    assert node, "Node is missing. Run the tests with tests/run.py."
    chance = random.Random(15)
    questions = [random_question(chance) for _ in range(5000)]
    read = subprocess.run(
        [node, str(IN_NODE)],
        input=json.dumps(questions),
        capture_output=True,
        check=True,
        text=True,
    )
    exact = 0
    for question, theirs in zip(questions, json.loads(read.stdout), strict=True):
        ours = answer(question)
        numbers = [*flat(ours["probs"]), *ours["rest"]]
        others = [*flat(theirs["probs"]), *theirs["rest"]]
        assert len(numbers) == len(others)
        assert all(abs(a - b) <= CLOSE for a, b in zip(numbers, others, strict=True)), question
        for name in ("cut", "doubts", "exact", "survivors"):
            assert ours[name] == theirs[name], question
        exact += ours["exact"]
    assert exact > 1000
