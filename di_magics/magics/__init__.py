"""The magics `%%chat` and `%chat`, and how they are registered with IPython."""
