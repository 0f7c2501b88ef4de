"""Lets an editable install bring the data files along, as every other install does.

setuptools asks its distribution `has_data` there, which does not exist, instead of
`has_data_files`. All else is in pyproject.toml.
"""

from setuptools import Distribution, setup


class DistributionWithData(Distribution):
    """Answers that question."""

    def has_data(self) -> bool:
        """Return whether there are data files."""
        return bool(self.data_files)


setup(distclass=DistributionWithData)
