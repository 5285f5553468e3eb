"""The page docs/small_scale_tables.md: the tables of Text4Vis with the quick start's model on the toy actions."""
