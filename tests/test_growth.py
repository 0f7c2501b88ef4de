"""The measure of growth itself."""

from __future__ import annotations

from growth import growth


def test_growth_is_about_two_where_time_is_linear_and_four_where_it_is_quadratic() -> None:
    """The tests of linear time put their limit, 3, between the two."""
    assert growth(lambda n: sum(range(n)), 300_000) < 3
    assert growth(lambda n: sum(range(n * n)), 500) > 3


def test_what_makes_the_argument_is_not_measured() -> None:
    """However long it takes."""

    def make(size: int) -> range:
        sum(range(size * size))
        return range(size)

    assert growth(sum, 1000, make) < 3
