"""The steps of import.py."""
