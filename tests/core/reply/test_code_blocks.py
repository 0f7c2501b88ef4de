"""The code of a reply: which blocks there are, and which of them a cell gets."""

from __future__ import annotations

import pytest
from growth import growth

from di_magics.core.errors import ChatError
from di_magics.core.reply.code_blocks import PYTHON, Block, code_blocks, select_code
from di_magics.core.visible import remove_hidden

MIXED = """First:

```bash
pip install x
```

```python
import x
```

~~~
x.go()

~~~

```JSON
{}
```
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("x = 1\n    y", []),
        ("`x` and ``y``", []),
        ("```\nx\n```", [("", "x")]),
        ("```python\nx\n\ny\n```\nz", [("python", "x\n\ny")]),
        ("``` Python  title=a\nx\n```", [("python", "x")]),
        ("```{.python}\nx\n```", [("python", "x")]),
        ("```{python}\nx\n```", [("python", "x")]),
        ("```{.python .numberLines}\nx\n```", [("python", "x")]),
        ("``` { .python }\nx\n```", [("", "x")]),
        ("```C++\nx\n```", [("c++", "x")]),
        ("~~~\nx\n~~~", [("", "x")]),
        ("~~~py\n```\n~~~", [("py", "```")]),
        ("```py\n~~~\n```", [("py", "~~~")]),
        ("~~~ `a` ~\nx\n~~~", [("`a`", "x")]),
        ("```\n```", [("", "")]),
        ("```\n``` \t\n", [("", "")]),
        ("```\nx\n`````", [("", "x")]),
        ("````md\n```python\nx\n```\n````", [("md", "```python\nx\n```")]),
        ("```md\n```python\n```", [("md", "```python")]),
        ("```\nx\n`` ```", [("", "x\n`` ```")]),
        ("```\nx", [("", "x")]),
        ("```python", [("python", "")]),
        ("```\nx\n```\n```\ny", [("", "x"), ("", "y")]),
        ("```x``` and\n```a`b\ny", []),
        ("``\nx\n``", []),
        ("  ```\n  x\n    y\n z\n\n  ```", [("", "x\n  y\nz\n")]),
        ("- ```py\n  x\n    y\n  ```", [("py", "x\n  y")]),
        ("* a\n\n  ```py\n  x\n  ```\n+ b", [("py", "x")]),
        ("1. a\n   ```py\n   if x:\n       y\n   ```\n2. b", [("py", "if x:\n    y")]),
        ("12) ```\n    x\n    ```", [("", "x")]),
        ("-```\nx", []),
        ("\t```\n\tx\n\t```", [("", "x")]),
    ],
)
def test_fences_are_found(text: str, found: list[tuple[str, str]]) -> None:
    """With their language and without the indent of their place in a list."""
    assert [(block.language, block.code) for block in code_blocks(text)] == found


def test_a_fence_that_belongs_to_the_code_does_not_end_it() -> None:
    """By CommonMark a closing fence stands in by three spaces at most."""
    lines = ["def f():", '    """', "    ```", "    f()", "    ```", '    """']
    source = "\n".join(lines)
    assert select_code(f"```python\n{source}\n```") == source


@pytest.mark.parametrize("language", sorted(PYTHON))
def test_python_has_several_names(language: str) -> None:
    """A block without a name counts as well."""
    assert select_code(f"```{language}\nx\n```\n```rust\ny\n```") == "x"


def test_python_is_preferred_and_all_of_it_is_taken() -> None:
    """With an empty line between the blocks."""
    assert select_code(MIXED) == "import x\n\nx.go()"


def test_without_python_every_block_is_taken() -> None:
    """A reply in another language has code too."""
    assert select_code("```sql\nselect 1\n```\ntext\n```r\n\ny\n\n```") == "select 1\n\ny"


@pytest.mark.parametrize(
    ("named", "found"),
    [
        ("1", "pip install x"),
        ("3", "x.go()\n"),
        ("04", "{}"),
        ("٢", "import x"),
        ("bash", "pip install x"),
        ("Json", "{}"),
    ],
)
def test_a_block_may_be_named(named: str, found: str) -> None:
    """By its number, counted from 1, or by its language in any case."""
    assert select_code(MIXED, named) == found


def test_a_language_takes_all_of_its_blocks() -> None:
    """In their order."""
    assert select_code("```r\na\n```\n```sql\nb\n```\n```R\nc\n```", "R") == "a\n\nc"


@pytest.mark.parametrize("named", ["0", "5", "99999"])
def test_a_number_out_of_range_is_an_error(named: str) -> None:
    """The line lists what there is."""
    with pytest.raises(ChatError) as error:
        select_code(MIXED, named)
    assert f"no block {named}: " in str(error.value)
    assert "4 blocks (1 bash, 2 python, 3, 4 json)" in str(error.value)


@pytest.mark.parametrize("named", ["rust", "-1", "1.0", "x" * 99, "9" * 9999, "²", "a\x1b[31m\nb"])
def test_a_language_that_is_not_there_is_an_error(named: str) -> None:
    """One short printable line, whatever was typed."""
    with pytest.raises(ChatError, match=r"no block .* 1 block \(1 py\)") as error:
        select_code("```py\nx\n```", named)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 170


def test_the_language_of_a_model_stays_in_its_line() -> None:
    """The list quotes it printable and short."""
    with pytest.raises(ChatError) as error:
        select_code(f"```a\x1b[31m\x07{'x' * 99}\nx\n```", "9")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 120


@pytest.mark.parametrize("named", ["", "1", "python"])
def test_a_reply_without_a_block_is_an_error(named: str) -> None:
    """The line says how to see the reply."""
    with pytest.raises(ChatError, match=r"no code block .*%chat show"):
        select_code("Just words.", named)


@pytest.mark.parametrize("piece", ["`", "~", " ", "\t", "1", "- ", "```\n", "`~", "\n", "``` "])
def test_an_endless_reply_is_read_in_linear_time(piece: str) -> None:
    """Whatever it repeats."""
    assert growth(lambda n: code_blocks(piece * n), 50_000) <= 3


def test_a_block_is_a_plain_value() -> None:
    """Two equal blocks are equal."""
    assert code_blocks("```py\nx") == [Block("py", "x")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("if x:\n\ty = 'ü — 😀'\n", "if x:\n\ty = 'ü — 😀'\n"),
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\x1b[31mb\x08\x00c\x7f", "a[31mbc"),
        ("\ufeffa\u2060\u00ad = 1\u2028", "a = 1"),
        ("a = 1 # \u202e}\u2066 x\u2069\u200b", "a = 1 # } x"),
    ],
)
def test_code_for_a_cell_is_as_it_looks(text: str, shown: str) -> None:
    """What reorders, hides or erases a part of it is left out."""
    assert remove_hidden(text) == shown
