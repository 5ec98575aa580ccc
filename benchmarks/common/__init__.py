"""Code shared by studies, figures and questions."""
