"""The page docs/small_clip.md: the tables of Text4Vis with a small CLIP that was pre-trained on rendered scenes."""
