"""What machines boot: images of the image factory and the machine configuration."""
