"""What a study file can ask for."""
