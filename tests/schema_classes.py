"""Classes of a user, as parameters of tools and as forms of replies."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, NotRequired, Optional, TypedDict

import pydantic

MAYBE = Optional[int]  # noqa: UP045 # the older way to write it is another object


@dataclasses.dataclass
class Place:
    """A place on a map."""

    x: float
    y: float = 0.0


class Colour(enum.Enum):
    """What a thing looks like."""

    RED = "red"
    BLUE = "blue"


class Movie(TypedDict):
    """A movie."""

    title: str
    year: NotRequired[int]


class Notes(TypedDict, total=False):
    """What may be known of a movie."""

    stars: Annotated[int, pydantic.Field(ge=1, le=5, description="how good it is")]
    text: str


class Shelf(TypedDict):
    """Movies on a shelf."""

    movies: list[Movie]


class Person(pydantic.BaseModel):
    """Somebody."""

    name: str
    age: int = pydantic.Field(ge=0)
    friends: list[Person] = []
