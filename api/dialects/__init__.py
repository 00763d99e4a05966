"""One folder per dialect: their words (`schemas`), the way to ours and back (`translation`), their paths (`routes`)."""
