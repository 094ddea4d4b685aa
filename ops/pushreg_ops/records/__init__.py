"""What is stored, read strictly, and the rules that it keeps."""
