"""Published experiments carried out anew on data of one's own: one package a paper."""
