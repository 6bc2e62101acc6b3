"""One recipe under one protocol after another: what each shortcut of the literature is worth."""
