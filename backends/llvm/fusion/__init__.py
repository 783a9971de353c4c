"""Programs as statements: which values are stored, and what is computed where it is used."""
