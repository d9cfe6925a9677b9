"""Answers to the prompts, checked and made into a layer spec for the templates."""
