"""HTTP: boots of machines, health, and the JSON API."""
