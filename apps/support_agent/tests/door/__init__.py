"""The support agent on a company's network: who comes in, and what each finds."""
