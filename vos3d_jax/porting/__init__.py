"""From published files to our parameters and back: readers, name rules, conversion."""
