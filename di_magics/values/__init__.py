"""The user's variables, files and functions, as a prompt names them."""
