"""Classes of a user, as parameters of tools and as forms of replies."""

from __future__ import annotations

import dataclasses
import enum
from typing import Annotated, Literal, NotRequired, Optional, TypedDict

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


class Tree(pydantic.BaseModel):
    """A class with a union of itself."""

    v: int = 0
    c: Tree | Bush | None = None


class Bush(pydantic.BaseModel):
    """Its other member."""

    w: int = 0
    c: Tree | Bush | None = None


class One(pydantic.BaseModel):
    """The end."""

    kind: Literal["one"]


class Two(pydantic.BaseModel):
    """A node with a tag, so that nothing has to be tried."""

    kind: Literal["two"]
    c: Annotated[One | Two, pydantic.Field(discriminator="kind")]


class Tagged(pydantic.BaseModel):
    """A tree of them."""

    c: Annotated[One | Two, pydantic.Field(discriminator="kind")]
