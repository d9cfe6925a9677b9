"""README, guides and pictures show what happens today."""
