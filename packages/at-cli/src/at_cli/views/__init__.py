"""Documents of the API as plain lines. Pure functions: a document and a style in, lines out."""
