"""Glosses, the definitions of a dictionary, behind class names (iCLIP): tables, WordNet's files, choice of senses."""
