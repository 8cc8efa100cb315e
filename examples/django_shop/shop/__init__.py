"""A shop in Django that welcomes whoever signs up."""
