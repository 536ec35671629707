"""Published experiments on a user's own catalogue; one package a paper."""
