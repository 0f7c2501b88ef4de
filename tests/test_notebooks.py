"""Every notebook in notebooks/ runs from top to bottom, and what it says is what it shows.

A claim is code that runs in the notebook's kernel, after the first cell that begins with its text.
Where a claim is about chance, it asks again with several seeds.
"""

from __future__ import annotations

import copy
import json
import os
import re
import textwrap
from pathlib import Path

import nbformat
import pytest
from loopback import Answer, Loopback, Raw, Reply, Request
from nbclient import NotebookClient

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


CLAIMS = {
    "01-first-chat": {
        "%%chat\nWrite one sentence": "first = _reply.usage",
        "%%chat\nNow write one": """
            assert [message["role"] for message in _reply.request["messages"]][-2:] == [
                "assistant", "user"
            ]
            now = _reply.usage.prompt_tokens
            if now and first.prompt_tokens:  # not known of a reply that was ended in a loop
                assert now > first.prompt_tokens + first.completion_tokens
        """,
        "%%chat --once -t 0": """
            colours = ("red", "blue", "green", "yellow", "black", "white", "orange", "purple")
            assert sum(colour in _reply.text.lower() for colour in colours) >= 2, _reply.text
            again = get_ipython().run_line_magic(
                "chat", "ask --once -t 0 --max-tokens 40 Name three colours."
            )
            assert again.text == _reply.text
        """,
        "%%chat --once -t 1.2": """
            import di_magics as di

            story = dict(temperature=1.2, max_tokens=60)
            prompt = "Write the first sentence of a story about a lighthouse."
            assert di.ask(prompt, seed=7, **story).text == _reply.text
            assert len({di.ask(prompt, seed=seed, **story).text for seed in (7, 8, 9)}) == 3
        """,
        "%%chat --once -s": """
            words = ("pirate", "ship", "sea", "sail", "captain", "matey", "ahoy", "aye", "treasure")
            system = _reply.request["messages"][0]["content"]
            replies = [
                di.ask("How are you today?", system=system, seed=n, max_tokens=40)
                for n in (1, 2, 3)
            ]
            like_one = [any(word in reply.text.lower() for word in words) for reply in replies]
            assert sum(like_one) >= 2, replies
        """,
    },
    "03-parameters": {
        "%%chat --once -t 0 --max-tokens 40": "likeliest = _reply.text",
        "%%chat --once -t 1.8 --max-tokens 40": "assert _reply.text != likeliest",
        "%%chat --once -t 0.7 --seed 1": """
            drawn = [
                get_ipython().run_line_magic(
                    "chat", f"ask --once -t 0.7 --seed {seed} --max-tokens 40 "
                    "Write one sentence about a cat and a lamp."
                ).text
                for seed in (1, 1, 2)
            ]
            assert drawn[0] == drawn[1] != drawn[2]
        """,
        "%%chat --once -t 0 --max-tokens 70\n": """
            lines = _reply.text.split()
            circles = len({*lines}) / len(lines)
        """,
        "%%chat --once -t 0 --max-tokens 70 --repetition-penalty": """
            lines = _reply.text.split()
            assert len({*lines}) / len(lines) > circles
        """,
        "%%chat --once -t 0 --max-tokens 10": "assert _reply.finish_reason == 'length'",
        "%%chat --once -t 0 --max-tokens 80 --stop": "assert '3.' not in _reply.text",
    },
    "04-exploring": {
        "%%chat --once --vary temperature=0,0.7,1.4": """
            texts = [reply.text for reply in _sweep.replies]
            assert texts[0] == texts[1]
            assert len({*texts}) == 5
        """,
        "%chat repeat 4": "assert len({reply.text for reply in _sweep.replies}) > 1",
        "%chat repeat 3": "assert len({reply.text for reply in _sweep.replies}) == 1",
        "%chat plot diversity": """
            from di_magics.core.sweep.measures import diversity

            at = {}
            for record in _sweep.records:
                at.setdefault(record["temperature"], []).append(record["text"])
            differ = {temperature: diversity(texts) for temperature, texts in at.items()}
            assert differ[0] == 0 < differ[0.4] < differ[1.2], differ
        """,
        "[(record": """
            rows = [record for record in sweep.records if not record["temperature"]]
            assert len({record["text"] for record in rows}) == 1
            assert len({record["cat"] for record in sweep.records}) == 2
        """,
    },
    "05-sampling-lab": {
        "import math": """
            written = fox.logprobs[3]
            assert written.logprob < written.top[0].logprob
        """,
        "import random": """
            assert math.exp(position.top[0].logprob) < shares[0] / sum(shares) < 0.1
            assert drawn.count(0) and errors[10] > errors[100] > errors[1_000] > errors[10_000]

            def mean_error(draws, times=5):
                total, races = sum(shares), []
                for _ in range(times):
                    came = Counter(random.choices(range(len(shares)), shares, k=draws))
                    off = [abs(came[n] / draws - s / total) for n, s in enumerate(shares)]
                    races.append(sum(off))
                return sum(races) / times / 2

            from collections import Counter

            assert len({*random.choices(range(len(shares)), shares, k=10)}) < len(shares) / 2
            for draws in (100, 1_000):
                assert 0.25 < mean_error(10 * draws) / mean_error(draws) < 0.42
        """,
        "from di_magics.core.sampling": """
            assert sorted(entropies.values()) == [*entropies.values()]
            low, _ = after(position, top_k=50).probs[position.top[0].id]
            assert low > shares[0] / sum(shares)
        """,
        "from collections": """
            assert left["peaked", "top_k"] == left["flat", "top_k"] == 40
            assert left["peaked", "top_p"] == left["peaked", "min_p"] == 1
            assert len(built_in.cut) + built_in.survivors == 100 and built_in.rest == (0, 0)
            assert left["flat", "top_p"] > 40 > left["flat", "min_p"] > 10
        """,
        "filters = {": """
            orders = ("filters first", "temperature first")
            alone = [counts["top_p 0.7", order] for order in orders]
            ours = [counts["built-in model's", order] for order in orders]
            assert all(known["built-in model's", order] for order in orders)
            assert 0.4 < ours[0] / ours[1] < 0.6 and ours[1] < 20
            assert not known["top_p 0.7", "temperature first"]
            assert alone[0] * 3 < alone[1]
        """,
        "impossible = {": """
            assert sorted(impossible.values()) == [*impossible.values()]
            assert impossible[0.95] == 0 < impossible[0.5]
        """,
        "from di_magics.core.token_statistics": "assert second < first",
        "import di_magics as di": "assert mine.perplexity > 5 * own.perplexity",
        "wordings = [": "assert 0.5 > max(yes.values()) > 2 * min(yes.values())",
        "hand = [": """
            assert any(math.exp(token.logprob) < 0.01 for token in hand)
            assert forced.logprobs[0].token == "`" and "`" not in forced.text
            assert forced.usage.completion_tokens > len(forced.logprobs)
        """,
        "%chat branch": """
            likeliest = fox.logprobs[3].top[0]
            assert fox.logprobs[3].id == fox.logprobs[3].top[1].id != likeliest.id
            assert {reply.logprobs[3].id for reply in _sweep.replies} == {likeliest.id}
            assert f"token 4 is {likeliest.text!r}" in _sweep.summary
        """,
    },
    "06-tools-and-structure": {
        "%%chat --once -t 0 --max-tokens 40\n{{name}}": "assert '36' in _reply.text",
        "%%chat --once -a note": "assert '51' in _reply.text",
        "_reply.json()": "assert _reply.json() == Person('Ada', 36, 'London')",
        "import di_magics as di": """
            replies = [di.ask(f"Is this sentence happy or sad? {text}", schema=mood, seed=seed)
                for text in ("I won the lottery!", "My cat has died.") for seed in (1, 2, 3)]
            assert {reply.json()["mood"] for reply in replies} <= {"happy", "sad"}
        """,
        "arguments = {": """
            assert call == {"location": "San Francisco"}
            for city in ("Berlin", "London"):
                other = question.replace("San Francisco", city)
                asked = di.ask(other, schema=arguments, temperature=0, max_tokens=60)
                assert asked.json() == {"location": city}
        """,
        "%%chat --once -t 0 --max-tokens 60\nThe weather is": "assert _reply.complete",
    },
}


def with_claims(notebook: nbformat.NotebookNode, claims: dict[str, str]) -> nbformat.NotebookNode:
    """Return the notebook with the code of each claim after its cell."""
    cells, left = [], dict(claims)
    for cell in notebook.cells:
        cells.append(cell)
        for begin in [begin for begin in left if cell.source.startswith(begin)]:
            cells.append(nbformat.v4.new_code_cell(textwrap.dedent(left.pop(begin))))
    assert not left
    checked = copy.deepcopy(notebook)
    checked.cells = cells
    return checked


@pytest.mark.local
@pytest.mark.timeout(900)  # the model has the cores that others leave it
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_says_what_it_shows(
    path: Path, model_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell fails, every `%%chat` cell has a saved reply with a receipt, the claims hold."""
    monkeypatch.setenv("DI_MAGICS_HOME", str(model_home))
    notebook = with_claims(nbformat.read(path, as_version=4), CLAIMS.get(path.stem, {}))
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    assert len(json.dumps(notebook)) < 500_000
    chats = [cell for cell in notebook.cells if cell.source.startswith("%%chat")]
    chats = [cell for cell in chats if "--dry-run" not in cell.source]
    assert chats
    for cell in chats:
        (output,) = cell.outputs
        assert "on this machine" in output["data"]["text/plain"]
        found = output["metadata"]["di_magics"]
        assert found.get("grid") or found["status"] == "done"
        assert "failed" not in output["data"]["text/plain"]


FOLDER_OF_STREAMS = Path(os.environ.get("DI_MAGICS_STREAMS") or "no-such-folder")
CALLS: list[Answer] = [
    Reply("", tool_calls=[{"name": "weather", "arguments": '{"location": "San Francisco"}'}]),
    *(
        Raw([stream])
        for file in sorted(FOLDER_OF_STREAMS.glob("recorded/*-tool-call.sse"))
        if b'"weather"' in (stream := file.read_bytes())
    ),
]


@pytest.mark.kernel
@pytest.mark.parametrize("calls", CALLS, ids=lambda calls: type(calls).__name__)
def test_the_tools_of_the_notebook_are_called(
    calls: Answer, server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a model that calls functions, and with what several services really send, the cell that
    is there to copy does all of it.
    """

    def answer(request: Request) -> Answer:
        asked = request.json
        if "response_format" in asked:
            cut = asked.get("max_tokens") == 8
            fitting = json.dumps(
                {"name": "Ada", "age": 36, "city": "London", "mood": "sad"}
                | {"location": "San Francisco"}
            )
            return Reply(fitting[:9] if cut else fitting, finish="length" if cut else "stop")
        called = any(message["role"] == "tool" for message in asked["messages"])
        if "tools" in asked and not called:
            return calls
        return Reply("No umbrella.\n\n```python\nprint(1)\n```\n")

    server.default = answer
    monkeypatch.setenv("DI_MAGICS_BASE_URL", server.url)
    monkeypatch.setenv("DI_MAGICS_MODEL", "a-model")
    notebook = nbformat.read(FOLDER / "06-tools-and-structure.ipynb", as_version=4)
    (shown,) = re.findall(r"```\n(%%chat --tools .*?)```", notebook.cells[-1].source, re.DOTALL)
    notebook.cells.append(nbformat.v4.new_code_cell(shown))
    folder = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder).execute()
    (output,) = notebook.cells[-1].outputs
    assert "No umbrella." in output["data"]["text/html"]
    assert "weather(" in output["data"]["text/plain"]
    (result,) = output["metadata"]["di_magics"]["rounds"][0]["results"]
    assert "12.5" in result[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path: Path) -> None:
    """The outputs are made by who runs them; the repository has none."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
