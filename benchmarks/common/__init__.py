"""What studies, figures and questions share."""
