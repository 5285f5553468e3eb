"""The page docs/unified_ratios.md: iCLIP's ratio of captioned and labelled images with the small dual tower."""
