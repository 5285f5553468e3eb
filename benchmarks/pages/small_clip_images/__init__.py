"""The page docs/small_clip_images.md: Tables 10 and 11 of Text4Vis on rendered stills, with the small CLIP."""
