TITLE = "halve"
