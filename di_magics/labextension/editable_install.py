"""Lets an editable install bring the extension's files along, as every other install does.

pyproject.toml names this class for the build; it is not part of the installed package.
"""

from __future__ import annotations

from setuptools.command.editable_wheel import editable_wheel


class EditableInstall(editable_wheel):
    """Installs data files, too."""

    def run(self) -> None:
        """Build the wheel. setuptools asks for `has_data`, which only an older distutils had."""
        self.distribution.has_data = self.distribution.has_data_files
        super().run()
