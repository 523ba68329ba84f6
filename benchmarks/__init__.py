"""What is measured, one command each; results stand beside the scripts."""
