"""Words to matrices: class names, templates, text encoders, classifier sources, the bundle and its cache."""
