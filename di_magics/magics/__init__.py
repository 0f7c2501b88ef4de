"""What a person types: `%%chat`, `%chat`, and what IPython is told of them."""
