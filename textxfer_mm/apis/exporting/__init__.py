"""Models as files that stand alone: frames and class rows in, logits out."""
