"""The pages of results: the rows, tables, claims and sentences of each; the harness does the rest."""
