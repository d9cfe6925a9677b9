"""What is generated: answers taken and refused, files, layers that work."""
